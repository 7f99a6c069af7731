// SPDX-License-Identifier: MIT
// Plans to bind a device to vfio-pci and to give it back to its host driver. prepare/change_plan
// carries them out.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/change_plan.h"

namespace passthru {

/// Plans bindings. Thread-safe. A plan reads sysfs when it is made, so carry it out at once.
///
/// The former driver of a device is kept in a file below `records`, named after the device. A later
/// process can thus give the device back. A boot empties /run and ends all bindings.
class Binding {
 public:
  explicit Binding(Sysfs sysfs, std::filesystem::path records = "/run/passthru")
      : sysfs_(std::move(sysfs)), records_(std::move(records)) {}

  /// Plans to bind the device to vfio-pci. The plan is empty if vfio-pci, or a driver built on it,
  /// is bound already. prepare/in_use checks whether the host uses the device.
  ///
  /// Errors:
  /// - Errors of `bindable_function`.
  /// - ENOENT: vfio-pci is not loaded.
  /// - EBUSY: the device has virtual functions.
  [[nodiscard]] Result<ChangePlan> bind(Bdf bdf) const;

  /// Plans to give the device back to the driver that `bind` found. Without a record, the kernel
  /// chooses the driver. The plan is empty if the device is not bound to vfio-pci. Do not unbind a
  /// device in use: the kernel makes the writer wait for its user.
  ///
  /// Errors:
  /// - ENOENT: the device does not exist, or its former driver is no longer loaded.
  /// - EINVAL: the record has an unknown form.
  [[nodiscard]] Result<ChangePlan> unbind(Bdf bdf) const;

 private:
  Sysfs sysfs_;
  std::filesystem::path records_;
};

}  // namespace passthru
