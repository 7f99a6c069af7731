// SPDX-License-Identifier: MIT
// A lower limit of open descriptors for a part of a test, so that calls fail with EMFILE.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/fd.h"

namespace passthru {

/// Lowers this process's limit of open descriptors while it lives.
class FewDescriptors {
 public:
  explicit FewDescriptors(rlim_t most) {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit few{most, before_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &few), 0);
  }
  ~FewDescriptors() { EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &before_), 0); }
  FewDescriptors(const FewDescriptors&) = delete;
  FewDescriptors& operator=(const FewDescriptors&) = delete;

 private:
  rlimit before_{};
};

/// Returns the lowest number that no descriptor has: the next descriptor gets it. With this number
/// as its limit, a process can open no descriptor.
inline rlim_t next_descriptor() {
  const Fd next(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  EXPECT_TRUE(next);
  return static_cast<rlim_t>(next.get());
}

}  // namespace passthru
