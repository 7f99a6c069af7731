// SPDX-License-Identifier: MIT
// The processes that use a device through VFIO. The kernel makes `unbind` wait for them.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/in_use.h"

namespace passthru {

/// Returns the processes in `proc` that have the device, its own VFIO node or its group's node
/// open, each as "process 812 (qemu) has /dev/vfio/12 open". Opens nothing. Empty for a device that
/// is not on VFIO. Not seen: descriptors of the device from before Linux 6.18, processes of other
/// PID namespaces and, without root, those of other users.
///
/// Errors:
/// - ENOENT: the device does not exist.
/// - Errors of `for_each_open_file`.
Result<std::vector<DeviceUse>> vfio_uses(const Sysfs& sysfs, const std::filesystem::path& proc,
                                         Bdf bdf);

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
