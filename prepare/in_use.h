// SPDX-License-Identifier: MIT
// Owns the question what of the host ends when a device leaves it: mounted file systems, swap and
// volumes on its disks, network interfaces that are up. As sysfs and /proc tell it; asked before a
// device is bound.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// Something of the host's that a device carries.
struct DeviceUse {
  std::string what{};    ///< "nvme0n1p1 is mounted on /srv"; printable
  std::string remedy{};  ///< a command: "umount -A /dev/nvme0n1p1"; empty: there is none
};

/// All that the host uses of a device, as seen from the caller's mount and network namespaces:
/// - a disk or a partition of it, or a volume built on one (dm, md), that is mounted or is swap;
/// - each volume that is built on one, also where nothing is mounted;
/// - a network interface with IFF_UP, whether or not it has an address.
/// Not seen: what only other namespaces have, and file systems that tell neither the mount table
/// nor sysfs which disks they are on (ZFS). `proc` is where procfs is mounted. E2BIG, EINVAL,
/// ENOENT..: it cannot be told, since there is more than could be looked at, or a file of /proc
/// cannot be understood or read.
Result<std::vector<DeviceUse>> device_uses(const Sysfs& sysfs, const std::filesystem::path& proc,
                                           Bdf bdf);

/// EBUSY where there are any, naming them and the ways out; the errors of `device_uses` where it
/// cannot be told. Where there are none, it is tried for each disk in `dev`, for a moment, whether
/// somebody has claimed it: ZFS, a mount of another namespace.
Result<void> require_unused(const Sysfs& sysfs, const std::filesystem::path& proc,
                            const std::filesystem::path& dev, Bdf bdf);

/// The first few of some texts, and how many more there are: "a, b and 3 more".
std::string first_few(const std::vector<std::string>& texts, const char* separator = ", ");

}  // namespace passthru
