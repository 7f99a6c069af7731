// SPDX-License-Identifier: MIT
// The kernel's devices that depend on a PCI function: disks and the volumes built on them, network
// interfaces, displays, inputs, device nodes. prepare/in_use uses it.
#pragma once

#include <cstddef>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/open_files.h"

namespace passthru {

/// Names in the kernel, each with its directory in sysfs.
struct Dependent {
  std::map<std::string, std::filesystem::path> blocks{};      ///< disks, partitions, volumes
  std::map<std::string, std::filesystem::path> interfaces{};  ///< network interfaces
  std::map<std::string, std::filesystem::path> displays{};    ///< DRM cards and frame buffers
  std::map<std::string, std::filesystem::path> inputs{};      ///< keyboards, mice, touch screens
  std::vector<DeviceNode> nodes{};                            ///< all device nodes, sorted by name
};

/// Finds them below the function in sysfs. The result is empty if the function does not exist. A
/// USB controller with all its ports has some thousand directories.
///
/// Errors:
/// - E2BIG: the function has more than `max_directories` directories.
Result<Dependent> find_dependents(const Sysfs& sysfs, Bdf bdf, size_t max_directories = 1 << 16);

}  // namespace passthru
