// SPDX-License-Identifier: MIT
// The processes that use a device through VFIO. The kernel makes `unbind` wait for them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// Opens an IOMMU group and closes it. EBUSY: a process uses the group.
using TryGroup = std::function<Result<void>(uint32_t group)>;

/// Checks that no process has the device, its own VFIO node or its group's node open. If no process
/// in `proc` has, it tries to open the group: a process of another PID namespace may have it.
/// Succeeds for a device that is not on VFIO.
///
/// Errors:
/// - EBUSY: a process uses the device. The message names the processes and their commands.
/// - ENOENT: the device does not exist.
/// - Errors of `for_each_open_file`.
Result<void> require_no_vfio_user(const Sysfs& sysfs, const std::filesystem::path& proc, Bdf bdf,
                                  const TryGroup& try_group);

}  // namespace passthru
