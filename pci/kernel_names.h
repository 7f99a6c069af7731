// SPDX-License-Identifier: MIT
// The names that Linux gives the parts of PCI devices, and people know: eth0, nvme0, sda1. Read
// from sysfs.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// A name in the kernel. A disk with several paths has an entry for each function.
struct KernelName {
  enum class Kind { Interface, Controller, Disk, Partition };

  std::string name{};  ///< as below /dev, for a disk
  Kind kind = Kind::Interface;
  std::optional<Bdf> bdf{};  ///< the PCI function that has it; nothing: it is not on PCI
  bool usb = false;          ///< it is on the USB of that function
  bool operator==(const KernelName&) const = default;
};

/// Returns the network interfaces of the caller's namespace, the NVMe controllers, the disks and
/// their partitions, sorted by name in each kind. Skips what it cannot read.
std::vector<KernelName> kernel_names(const Sysfs& sysfs);

/// Returns the disk above a path of an NVMe drive: "nvme0n2" for "nvme0c1n2". Empty for others. A
/// drive with several paths has hidden path disks below its functions; only the disk above them is
/// used, and it is not below a function.
std::string disk_above(const std::string& path);

}  // namespace passthru
