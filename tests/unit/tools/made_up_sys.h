// SPDX-License-Identifier: MIT
// A made-up /sys for a process of a test, for commands that read the machine's own.
#pragma once

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>

namespace passthru {

/// Makes `root` the /sys of the calling process, which must have no other threads. Returns false if
/// the system does not allow it.
inline bool enter_sys(const std::filesystem::path& root) {
  const int user = ::geteuid() == 0 ? 0 : CLONE_NEWUSER;
  return ::unshare(CLONE_NEWNS | user) == 0 &&
         ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount(root.c_str(), "/sys", nullptr, MS_BIND, nullptr) == 0;
}

/// Returns whether `enter_sys` would succeed in a child process.
inline bool may_enter_sys(const std::filesystem::path& root) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(enter_sys(root) ? 0 : 1);
  int status = -1;
  return ::waitpid(child, &status, 0) == child && status == 0;
}

}  // namespace passthru
