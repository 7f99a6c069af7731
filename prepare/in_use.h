// SPDX-License-Identifier: MIT
// The uses that the host makes of a device, from sysfs and /proc: mounted file systems, swap and
// volumes on its disks, network interfaces that are up, consoles, displays, keyboards, and device
// nodes that a process has open. They end when the device is bound to vfio-pci.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// A use of the device by the host.
struct DeviceUse {
  std::string what{};    ///< "nvme0n1p1 is mounted on /srv"; printable
  std::string remedy{};  ///< a command, "umount -A /dev/nvme0n1p1"; may be empty
};

/// Returns all uses of a device by the host, seen from the caller's mount and network namespaces:
/// - A disk, a partition or a volume built on them (dm, md) that is mounted or is swap.
/// - Each of these volumes, even if it is not mounted.
/// - A network interface with IFF_UP, with or without an address.
/// - The uses of prepare/node_uses: consoles, displays, inputs, open device nodes. The text names
///   the process that has the node open. Without root, only the caller's processes are seen.
///
/// Not seen: uses in other namespaces only, and file systems whose disks neither the mount table
/// nor sysfs names (ZFS). `proc` is where procfs is mounted.
///
/// Errors:
/// - E2BIG: the device has too many directories, or a table is too large.
/// - EINVAL: a file of /proc or sysfs has an unknown form.
/// - ENOENT and others: a file of /proc or sysfs cannot be read.
Result<std::vector<DeviceUse>> device_uses(const Sysfs& sysfs, const std::filesystem::path& proc,
                                           Bdf bdf);

/// Checks that the host does not use the device. If `device_uses` finds no use, it briefly opens
/// each disk in `dev` to see whether ZFS or a mount of another namespace has claimed it.
///
/// Errors:
/// - EBUSY: the host uses the device. The message names the uses and the remedies.
/// - Errors of `device_uses`.
Result<void> require_unused(const Sysfs& sysfs, const std::filesystem::path& proc,
                            const std::filesystem::path& dev, Bdf bdf);

/// Returns the first four texts and the number of the others: "a, b, c, d and 3 more".
std::string first_few(const std::vector<std::string>& texts, const char* separator = ", ");

}  // namespace passthru
