// SPDX-License-Identifier: MIT
// A reset of a device whose lock the host may hold. Private to device/.
#pragma once

#include <chrono>
#include <functional>

#include "base/result.h"

namespace passthru {

/// How long a reset is tried again while the kernel refuses it with EAGAIN or EBUSY.
inline constexpr std::chrono::milliseconds kBusyLimit{500};

/// Calls `reset` until it returns anything but EAGAIN and EBUSY: every 5 ms, for at most
/// kBusyLimit. Stops once `stop` returns true. The caller holds no lock that a vCPU waits for.
///
/// The kernel only tries to take the device's lock (pci_try_reset_function): EAGAIN. A reset
/// through sysfs, or the recovery from an error, holds it for some 100 ms. An unbind holds it until
/// the device is closed here, so that retries cannot succeed. A reset of a slot or bus also only
/// tries to take the locks of the devices' memory (vfio_pci_dev_set_hot_reset): EBUSY while a
/// device there is being accessed.
///
/// Errors:
/// - EAGAIN, EBUSY: a lock was held all the time, and nothing was reset.
/// - the errno of `reset`.
Result<void> reset_while_busy(const std::function<Result<void>()>& reset,
                              const std::function<bool()>& stop);

}  // namespace passthru
