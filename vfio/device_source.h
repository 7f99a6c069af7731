// SPDX-License-Identifier: MIT
// Owns the choice of the door by which a device is opened: its IOMMU group, its own node, or a
// descriptor that somebody else has opened. Looks at sysfs only; VfioDevice goes through the door.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "vfio/kernel.h"
#include "vfio/vf_token.h"

namespace passthru {

/// How a VMM wants a device to be opened. By default by whatever the machine has: the device's own
/// node where there is one and an iommufd, otherwise its group. By its group as well where that one
/// is attached already, and where the device is a virtual function with a VF token, for which not
/// every kernel asks at the node.
///
/// Descriptors are for a VMM that may not open anything in /dev itself. They are taken over, and
/// closed where opening the device fails. A group's is given once: its other devices need none.
/// Those of one VM share one iommufd and one container, which may be named with each device, or
/// once.
struct DeviceSource {
  std::optional<Backend> backend{};
  int cdev_fd = -1;       ///< /dev/vfio/devices/vfioN, not bound yet
  int iommufd = -1;       ///< /dev/iommu
  int group_fd = -1;      ///< /dev/vfio/GROUP, in no container yet
  int container_fd = -1;  ///< /dev/vfio/vfio
  bool operator==(const DeviceSource&) const = default;
};

/// One device and the door to it.
struct DeviceHandle {
  Bdf bdf{};
  uint32_t group = 0;  ///< its IOMMU group
  Backend backend = Backend::Group;
  std::string cdev{};  ///< the name of its own node, "vfio0"; for Backend::Cdev without `given`
  Fd given{};          ///< its group's or its own descriptor, if somebody else opened it
  std::optional<VfToken> vf_token{};  ///< shown for a virtual function, set for a physical one
};

/// The door to a device that can be assigned. `bdf` may be 0000:00:00.0, which nothing that can be
/// assigned has, for a `cdev_fd`: the device is then the one behind it. Errors of assignable_group;
/// ENOTSUP: it is to be opened by its own node, and the kernel gives it none; EINVAL: the
/// descriptors contradict each other, or the address.
Result<DeviceHandle> resolve_device(Kernel& kernel, const Sysfs& sysfs, Bdf bdf,
                                    const DeviceSource& source = {});

/// "group" or "cdev": as a user writes it.
const char* to_string(Backend backend);

}  // namespace passthru
