// SPDX-License-Identifier: MIT
// A reset of a device whose lock the host may hold. Private to device/.
#pragma once

#include <chrono>
#include <functional>

#include "base/result.h"

namespace passthru {

/// How long a reset is tried again while the kernel refuses it with EAGAIN.
inline constexpr std::chrono::milliseconds kBusyLimit{500};

/// Calls `reset` until it returns anything but EAGAIN: every 5 ms, for at most kBusyLimit. Stops
/// once `stop` returns true.
///
/// The kernel only tries to take the device's lock (pci_try_reset_function). A reset through sysfs,
/// or the recovery from an error, holds it for some 100 ms. An unbind holds it until the device is
/// closed here, so that retries cannot succeed.
///
/// Errors:
/// - EAGAIN: the lock was held all the time, and nothing was reset.
/// - the errno of `reset`.
Result<void> reset_while_busy(const std::function<Result<void>()>& reset,
                              const std::function<bool()>& stop);

}  // namespace passthru
