// SPDX-License-Identifier: MIT
// Facts about a machine's readiness to assign devices, from sysfs, /proc and the permissions in
// /dev. prepare/host_checks judges them, and prepare/attach_trial opens the nodes.
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
#include "vfio/attach_facts.h"

namespace passthru {

/// The roots of the trees to read. Tests give their own trees.
struct HostRoots {
  std::filesystem::path sys = "/sys";
  std::filesystem::path proc = "/proc";
  std::filesystem::path dev = "/dev";
};

/// Facts for every device, for the calling process.
struct HostFacts {
  size_t iommu_groups = 0;
  /// From the names of the interrupt chips in use; nullopt if they do not show it.
  std::optional<bool> interrupt_remapping{};
  /// Type1's allow_unsafe_interrupts; nullopt if type1 is not loaded or the parameter cannot be
  /// read.
  std::optional<bool> unsafe_interrupts{};
  bool vfio = false;  ///< this and the next two: loaded or built in
  bool vfio_iommu_type1 = false;
  bool vfio_pci = false;
  int container_errno = 0;  ///< of access to /dev/vfio/vfio for reading and writing; 0: allowed
  /// Bytes that the process may lock; UINT64_MAX: unlimited; nullopt: unknown.
  std::optional<uint64_t> lockable{};
  bool iommufd = false;   ///< /dev/iommu exists
  int iommufd_errno = 0;  ///< of access to /dev/iommu; 0: allowed
};

/// Users of a BAR's memory in the host, besides the device's driver.
struct HeldBar {
  unsigned bar = 0;
  std::vector<std::string> holders{};  ///< their names in /proc/iomem
};

/// Facts about a device that could be assigned.
struct DeviceFacts {
  PciFunction function{};
  std::optional<PciFunction> physical{};  ///< set for a virtual function
  bool resettable = false;                ///< by any method
  std::vector<GroupMember> blocking{};    ///< in its group, without itself
  /// Uses by the host; on VFIO, uses by processes (vfio_users).
  Result<std::vector<DeviceUse>> uses = std::vector<DeviceUse>();
  bool sees_all_processes = true;  ///< false: other users' open files are not in `uses`
  std::vector<HeldBar> held_bars{};
  std::vector<IovaRange> direct_regions{};  ///< memory that firmware reserves for its group
  std::string cdev{};   ///< the name of its own node below /dev/vfio/devices, if any
  int cdev_errno = 0;   ///< of access to that node; 0: allowed
  int group_errno = 0;  ///< of access to /dev/vfio/GROUP; 0: allowed
};

/// Reads the facts about the machine.
HostFacts host_facts(const HostRoots& roots);

/// Reads the facts about a device.
///
/// Errors:
/// - Errors of `bindable_function`.
/// - ENOENT: its group or its physical function went away.
Result<DeviceFacts> device_facts(const HostRoots& roots, Bdf bdf);

}  // namespace passthru
