// SPDX-License-Identifier: MIT
// A device to assign, as text of a command line: its BDF, then options after commas. A pure
// function.
#pragma once

#include <optional>
#include <string_view>

#include "base/result.h"
#include "device/assigned_device.h"

namespace passthru {

/// How to open a device, with descriptors as the numbers that the command line has. -1: not given.
struct SourceArgument {
  std::optional<Backend> backend{};
  int cdev_fd = -1;       ///< /dev/vfio/devices/vfioN
  int iommufd = -1;       ///< /dev/iommu; all devices of a VM share it
  int group_fd = -1;      ///< /dev/vfio/GROUP
  int container_fd = -1;  ///< /dev/vfio/vfio; all devices of a VM share it
};

/// A device of the command line.
struct DeviceArgument {
  AssignOptions options{};
  SourceArgument source{};
  std::optional<Bdf> address{};  ///< in the guest; empty: the VM chooses
};

/// Parses "BDF[,OPTION]...", or for a device that another process opened "fd=N,iommufd=N" or
/// "group-fd=N,bdf=BDF". The options, with their defaults in parentheses, are:
///   nomap=N                     do not map BAR N into the guest (0 to 5); repeat for more BARs
///   msix=auto | inplace | barN  place of the MSI-X table in the guest (inplace)
///   rom=FILE | off              expansion ROM in the guest (the device's own)
///   vf-token=UUID               see AssignOptions::vf_token
///   addr=SLOT[.FUNCTION]        place on the guest's bus, hexadecimal as in an address
///   moderate=N                  at most N interrupts a second per vector, 1 to 1000000 (no limit)
///   reset=on | off              AssignOptions::reset (on)
///   silence=SECONDS             AssignOptions::max_silence, 0 to 86400 (60)
///   vectors=N                   at most N vectors of MSI-X and of MSI, 1 to 2048 (the device's)
///   fd=N                        descriptor of the device's own node, /dev/vfio/devices/vfioN
///   iommufd=N                   descriptor of /dev/iommu; all devices of a VM share it
///   group-fd=N, container-fd=N  descriptors of /dev/vfio/GROUP and /dev/vfio/vfio
///   bdf=BDF                     address, if the argument does not begin with it
/// Errors:
/// - EINVAL: no BDF, an unknown option, or an invalid value; says what is valid.
Result<DeviceArgument> parse_device_argument(std::string_view text);

}  // namespace passthru
