// SPDX-License-Identifier: MIT
// Owns the question which disks and network interfaces there are because of a PCI function: the
// walk through sysfs from it to them, and to the volumes built on its disks. prepare/in_use asks
// it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// By their names in the kernel, each with its directory in sysfs.
struct Dependent {
  std::map<std::string, std::filesystem::path> blocks{};  ///< disks, partitions, volumes on them
  std::map<std::string, std::filesystem::path> interfaces{};  ///< of the network
};

/// Empty where there is no such function. E2BIG: sysfs has more than `max_directories` for it; a
/// USB controller with all its ports has some thousands.
Result<Dependent> find_dependents(const Sysfs& sysfs, Bdf bdf, size_t max_directories = 1 << 16);

}  // namespace passthru
