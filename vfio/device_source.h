// SPDX-License-Identifier: MIT
// How a device is opened: through its IOMMU group, through its own node, or by a descriptor from
// the caller. Reads only sysfs; VfioDevice opens the device.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "vfio/iommu_space.h"
#include "vfio/kernel.h"
#include "vfio/vf_token.h"

namespace passthru {

/// How a VMM wants a device to be opened. Without `backend`, the device is opened through its own
/// node if it has a node and the kernel has iommufd; otherwise through its group. Passthru also
/// uses the group in these cases:
/// - The group is attached already.
/// - The device is a virtual function with a VF token, because not every kernel checks the token at
///   the node.
///
/// The descriptors are for a VMM that may not open files in /dev, and for a VMM that takes over the
/// running device of another process. Give a group's descriptor once; its other devices need none.
/// DmaSpace::use_iommufd and use_container take the descriptors that all devices of a VM share.
struct DeviceSource {
  std::optional<Backend> backend{};
  Fd cdev{};   ///< /dev/vfio/devices/vfioN, not yet bound unless it is handed over
  Fd group{};  ///< /dev/vfio/GROUP, not yet in a container unless it is handed over
};

/// The descriptors of an opened device, with which another process goes on with it; -1: does not
/// apply. They belong to the device: duplicate them.
struct DeviceDescriptors {
  Backend backend = Backend::Group;
  int device = -1;
  int group = -1;  ///< its group, if it was opened through it
  int iommu = -1;  ///< the container or the iommufd
};

/// A device and how to open it.
struct DeviceHandle {
  Bdf bdf{};
  uint32_t group = 0;  ///< its IOMMU group
  Backend backend = Backend::Group;
  std::string cdev{};  ///< the name of its own node, "vfio0"; for Backend::Cdev without `given`
  Fd given{};          ///< its group's or its own descriptor, if the caller opened it
  /// Presented for a virtual function, set for a physical function.
  std::optional<VfToken> vf_token{};
  /// HandedOver: another process has the device open. `given` is bound to the VM's iommufd, or the
  /// group is in the VM's container.
  Attachment attachment = Attachment::Own;
  /// False: the device counts as one without an expansion ROM, and the kernel is not asked for it.
  /// To answer, the kernel reads the ROM, and some devices hang then.
  bool use_rom = true;
  /// The maximum number of MSI-X vectors, and of MSI vectors; 0: all that the device has.
  uint32_t max_vectors = 0;
};

/// Decides how to open a device that can be assigned. With a `cdev`, `bdf` may be 0000:00:00.0,
/// which no assignable device has. The descriptor then determines the device. `has_iommufd`: the VM
/// has an iommufd, even if this process cannot open one.
///
/// Errors:
/// - Errors of assignable_group.
/// - ENOTSUP: the own node is requested, but the device has no node.
/// - EINVAL: the descriptors contradict each other or the address.
Result<DeviceHandle> resolve_device(Kernel& kernel, const Sysfs& sysfs, Bdf bdf,
                                    DeviceSource source = {}, bool has_iommufd = false);

/// Returns "group" or "cdev", as a user writes it.
const char* to_string(Backend backend);

}  // namespace passthru
