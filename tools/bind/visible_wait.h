// SPDX-License-Identifier: MIT
// Changes to sysfs that may take long. A driver that does not let a device leave makes the writer
// wait in the kernel, without limit, and no signal ends that wait.
#pragma once

#include <chrono>
#include <functional>
#include <string>

#include "base/result.h"
#include "prepare/change_plan.h"

namespace passthru::tools {

struct WaitOptions {
  std::chrono::milliseconds silence{2000};  ///< the wait is reported after this time
  std::function<void(const std::string&)> say{};
};

/// Makes a change as `apply_to_files`. A child process makes each write, so that the command can
/// end before the write does. After `silence`, says what the command waits for. From then on
/// SIGINT, SIGTERM and SIGHUP end the wait; before, they stay pending. The caller blocks these
/// signals (SignalsBlocked), and has no other threads that take them.
///
/// Errors:
/// - ECANCELED: a signal has ended the wait, and is no longer pending. The child goes on.
/// - Errors of `apply_to_files`.
Result<void> apply_visibly(const FileChange& change, const WaitOptions& options);

}  // namespace passthru::tools
