// SPDX-License-Identifier: MIT
// Plans for files that keep a binding over a boot: a file of driverctl if driverctl is installed,
// or else a rule of udev.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/change_plan.h"

namespace passthru {

/// Plans these files. Thread-safe.
class PersistentBinding {
 public:
  /// Tests give their own `root`.
  explicit PersistentBinding(std::filesystem::path root = "/") : root_(std::move(root)) {}

  /// Plans to bind the device to a VFIO driver at each boot. The plan is empty if a file does so
  /// already. The rule of udev applies only to a device with the same vendor and device id. A file
  /// of driverctl applies to any device in the slot.
  ///
  /// Errors:
  /// - ENOTSUP: neither driverctl nor udev is installed.
  /// - Errors of reading a file that exists.
  [[nodiscard]] Result<ChangePlan> keep(const PciFunction& function,
                                        const std::string& vfio_driver) const;

  /// Plans to remove the files that bind the device to a VFIO driver at each boot: the rule of
  /// `keep`, and a file of driverctl that names a VFIO driver, even if the user wrote it. The plan
  /// is empty if no file does so.
  ///
  /// Errors: those of reading a file that exists.
  [[nodiscard]] Result<ChangePlan> forget(Bdf bdf) const;

 private:
  [[nodiscard]] bool has_driverctl() const;
  [[nodiscard]] bool has_udev() const;
  [[nodiscard]] std::filesystem::path driverctl_file(Bdf bdf) const;
  [[nodiscard]] std::filesystem::path udev_rule(Bdf bdf) const;

  std::filesystem::path root_;
};

}  // namespace passthru
