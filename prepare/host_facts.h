// SPDX-License-Identifier: MIT
// Owns what a machine tells about its readiness to assign devices: read from sysfs, /proc and
// /dev's permissions, judged by prepare/host_checks. Nothing is opened that is VFIO's, and nothing
// is changed: opening a device would reset it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/in_use.h"

namespace passthru {

/// Where the machine is looked at. Tests give trees of their own.
struct HostRoots {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
  std::filesystem::path dev = "/dev";
};

/// What holds for every device, for the calling process.
struct HostFacts {
  size_t iommu_groups = 0;
  /// By the names of the interrupt chips that are in use; none: they do not tell.
  std::optional<bool> interrupt_remapping{};
  /// Type1's allow_unsafe_interrupts; none: not loaded, or not readable.
  std::optional<bool> unsafe_interrupts{};
  bool vfio = false;  ///< these are loaded, or built in
  bool vfio_iommu_type1 = false;
  bool vfio_pci = false;
  int container_errno = 0;  ///< why /dev/vfio/vfio may not be read and written; 0: it may
  /// Bytes that the process may lock, UINT64_MAX: all that there are; none: it cannot be told.
  std::optional<uint64_t> lockable{};
  bool iommufd = false;   ///< /dev/iommu is there
  int iommufd_errno = 0;  ///< why it may not be read and written; 0: it may
};

/// What holds for one device that could be assigned.
struct DeviceFacts {
  PciFunction function{};
  std::optional<PciFunction> physical{};                           ///< of a virtual function
  bool resettable = false;                                         ///< by whatever method
  std::vector<GroupMember> blocking{};                             ///< of its group, without itself
  Result<std::vector<DeviceUse>> uses = std::vector<DeviceUse>();  ///< empty where it is on VFIO
  std::string cdev{};   ///< the name of its own node below /dev/vfio/devices; empty: it has none
  int cdev_errno = 0;   ///< why that may not be read and written; 0: it may
  int group_errno = 0;  ///< why /dev/vfio/GROUP may not be read and written; 0: it may
};

HostFacts host_facts(const HostRoots& roots);

/// Errors of `bindable_function`; ENOENT: its group, or its physical function, went away.
Result<DeviceFacts> device_facts(const HostRoots& roots, Bdf bdf);

}  // namespace passthru
