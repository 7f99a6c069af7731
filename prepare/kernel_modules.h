// SPDX-License-Identifier: MIT
// The modules of the running kernel, as depmod(8) lists them: which modules serve a device, and
// whether a module exists.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pci/sysfs.h"

namespace passthru {

/// Returns whether two names mean the same module or its driver. The kernel and modprobe treat '-'
/// and '_' as equal.
bool same_module(std::string_view a, std::string_view b);

/// Returns whether the name is that of a VFIO driver for PCI devices, by its ending: vfio-pci,
/// mlx5_vfio_pci, nvgrace-gpu-vfio-pci.
bool is_vfio_name(std::string_view driver);

/// A directory like /lib/modules/6.1.0. Thread-safe. Nothing is cached.
class KernelModules {
 public:
  /// Uses the directory of the running kernel.
  KernelModules();
  /// Tests give their own `directory`.
  explicit KernelModules(std::filesystem::path directory) : directory_(std::move(directory)) {}

  /// The buses for which a module's alias offers the module.
  enum class Alias {
    Pci,      ///< "pci:": host drivers
    VfioPci,  ///< "vfio_pci:": VFIO drivers, which bind only if driver_override names them
  };
  /// Returns the names of the modules that serve the function; the first has the most specific
  /// alias. nullopt: the lists of the kernel cannot be read.
  [[nodiscard]] std::optional<std::vector<std::string>> serving(const PciFunction& function,
                                                                Alias alias) const;
  /// Returns the VFIO driver that was made for this device. Empty: only vfio-pci serves it, or the
  /// lists cannot be read.
  [[nodiscard]] std::string variant_driver(const PciFunction& function) const;

  /// Returns whether the kernel has the module, built in or not. nullopt: the lists cannot be read.
  [[nodiscard]] std::optional<bool> has(std::string_view module) const;

 private:
  std::filesystem::path directory_;
};

}  // namespace passthru
