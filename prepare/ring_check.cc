// SPDX-License-Identifier: MIT
// Sources: io_uring_setup(2), Documentation/admin-guide/sysctl.
#include "prepare/ring_check.h"

#include <fmt/format.h>

#include <system_error>

namespace passthru {

HostCheck check_ring(const Result<void>& ring, const std::string& disabled) {
  constexpr const char* kName = "io_uring";
  if (ring) return {kName, Answer::Ok, "usable", {}};
  const auto without = [](const std::string& why) { return why + ": epoll is used"; };
  switch (ring.error().code) {
    case EPERM:
    case EACCES:
      if (!disabled.empty() && disabled != "0") {
        return {kName,
                Answer::Warn,
                without(fmt::format("kernel.io_uring_disabled is {}", disabled)),
                {},
                {"sysctl kernel.io_uring_disabled=0"}};
      }
      return {kName, Answer::Warn, without(ring.error().operation + " is forbidden"),
              "Allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp filter"};
    case ENOSYS:
      return {kName, Answer::Warn,
              without("the kernel has no io_uring, or a seccomp filter hides it"),
              "Allow io_uring_setup, io_uring_enter and io_uring_register in the seccomp filter"};
    case EINVAL:
      return {kName, Answer::Warn, without("the kernel is older than 5.13"), {}};
    default:
      return {kName,
              Answer::Warn,
              without(fmt::format("{}: {}", ring.error().operation,
                                  std::generic_category().message(ring.error().code))),
              {}};
  }
}

}  // namespace passthru
