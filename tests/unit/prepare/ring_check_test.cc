// SPDX-License-Identifier: MIT
// Tests of what `passthru doctor` says of io_uring.
#include "prepare/ring_check.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/prepare/host_checks_facts.h"

namespace passthru {
namespace {

TEST(CheckRing, SaysWhyThereIsNone) {
  const auto said = [](int code, const char* disabled) {
    return line(check_ring(fail(code, "io_uring_setup"), disabled));
  };
  EXPECT_EQ(line(check_ring({}, "0")), "ok io_uring: usable > ");
  EXPECT_EQ(said(EPERM, "2"),
            "warn io_uring: kernel.io_uring_disabled is 2: epoll is used > 'sysctl "
            "kernel.io_uring_disabled=0'");
  const std::string filter =
      " > Allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp filter";
  for (const char* disabled : {"0", ""}) {
    EXPECT_EQ(said(EPERM, disabled),
              "warn io_uring: io_uring_setup is forbidden: epoll is used" + filter);
  }
  EXPECT_EQ(
      said(ENOSYS, ""),
      "warn io_uring: the kernel has no io_uring, or a seccomp filter hides it: epoll is used" +
          filter);
  EXPECT_EQ(said(EINVAL, ""), "warn io_uring: the kernel is older than 5.13: epoll is used > ");
  EXPECT_EQ(said(ENOMEM, ""),
            "warn io_uring: io_uring_setup: Cannot allocate memory: epoll is used > ");
}

}  // namespace
}  // namespace passthru
