// SPDX-License-Identifier: MIT
// Owns how a device to be assigned is written on a command line: its BDF, and options behind
// commas. A pure function.
#pragma once

#include <string_view>

#include "base/result.h"
#include "device/assigned_device.h"

namespace passthru {

/// Reads "BDF[,OPTION]...", or for a device that somebody else has opened "fd=N,iommufd=N" or
/// "group-fd=N,bdf=BDF", where an option is one of
///   nomap=N                     do not map BAR N into the guest (0 to 5); again for each
///   msix=auto | inplace | barN  where the guest finds the MSI-X table (inplace)
///   rom=FILE | off              what it finds as expansion ROM (the device's own)
///   vf-token=UUID               see AssignOptions::vf_token
///   moderate=N                  at most N interrupts a second of each vector, 1 to 1000000 (all)
///   fd=N                        the descriptor of its own node, /dev/vfio/devices/vfioN
///   iommufd=N                   that of /dev/iommu; all devices of a VM share one
///   group-fd=N, container-fd=N  those of /dev/vfio/GROUP and /dev/vfio/vfio
///   bdf=BDF                     its address, where it is not what the argument begins with
/// EINVAL: no BDF, an option that does not exist, or a value that it does not take; says what there
/// is.
Result<AssignOptions> parse_device_argument(std::string_view text);

}  // namespace passthru
