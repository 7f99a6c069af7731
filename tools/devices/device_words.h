// SPDX-License-Identifier: MIT
// The words by which people name a device on the command line: its address, an interface or a disk
// of it, its ids, a part of its name. The only place where such words become addresses.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/kernel_names.h"
#include "pci/sysfs.h"

namespace passthru::tools {

/// The devices of a machine at one moment, with their names.
struct KnownDevices {
  struct Function {
    Bdf bdf{};
    uint16_t vendor = 0;
    uint16_t device = 0;
    std::string name{};
    bool on_vfio = false;
  };
  std::vector<Function> functions{};
  std::vector<KernelName> kernel_names{};
};

/// Reads the devices. Without a PCI bus the result is empty.
KnownDevices known_devices(const Sysfs& sysfs);

/// Returns the device that `word` names. Pure. Tries in this order:
/// - an address, "0000:02:00.0" or "02:00.0", whether the machine has it or not.
/// - vendor and device ids, "8086:10d3".
/// - a network interface, an NVMe controller, a disk or a partition: "eth0", "/dev/nvme0n1".
/// - three or more letters of the device's name, in any case.
///
/// Errors:
/// - EINVAL: no device matches, or several do. The message names the candidates, or what was tried.
Result<Bdf> find_device(const KnownDevices& known, std::string_view word);

/// Returns the device of this machine that `word` names. Follows a link below /dev to its disk.
/// Reads nothing for an address. Errors of `find_device`.
Result<Bdf> device_of(const Sysfs& sysfs, const std::string& word);

/// Returns the devices that the words name, in that order, without duplicates.
/// Errors of `find_device`.
Result<std::vector<Bdf>> devices_of(const Sysfs& sysfs, const std::vector<std::string>& words);

/// Returns an argument "DEVICE[,OPTION]..." with the address of its device. An argument that begins
/// with an option stays as it is. Errors of `find_device`.
Result<std::string> with_address(const Sysfs& sysfs, const std::string& argument);

}  // namespace passthru::tools
