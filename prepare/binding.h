// SPDX-License-Identifier: MIT
// Plans to bind a device to vfio-pci and to give it back to its host driver. prepare/change_plan
// carries them out.
#pragma once

#include <filesystem>
#include <string>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/binding_record.h"
#include "prepare/change_plan.h"
#include "prepare/kernel_modules.h"

namespace passthru {

/// Plans bindings. Thread-safe. A plan reads sysfs when it is made, so carry it out at once.
///
/// A process may be killed between any two changes of a plan. The next `bind` completes the
/// binding, and the next `unbind` restores the device. For that, a file below `records`, named
/// after the device, keeps the former driver. A boot empties /run and ends all bindings.
class Binding {
 public:
  explicit Binding(Sysfs sysfs, std::filesystem::path records = "/run/passthru",
                   KernelModules modules = KernelModules())
      : sysfs_(std::move(sysfs)), records_(std::move(records)), modules_(std::move(modules)) {}

  /// Plans to bind the device to `driver`, a VFIO driver. If `driver` is empty, the plan binds it
  /// to vfio-pci, and is empty if any VFIO driver is bound already. prepare/in_use checks whether
  /// the host uses the device.
  ///
  /// Errors:
  /// - Errors of `bindable_function`.
  /// - EINVAL: `driver` is not a VFIO driver for this device.
  /// - ENOENT: the driver is not loaded.
  /// - EBUSY: the device has virtual functions.
  [[nodiscard]] Result<ChangePlan> bind(Bdf bdf, const std::string& driver = {}) const;

  /// Plans to give the device back to the driver that `bind` found. Without a record, the kernel
  /// chooses the driver. The plan is empty if the device is not bound to a VFIO driver and no
  /// `bind` or `unbind` was interrupted. A record of another device in the slot is ignored. Do not
  /// unbind a device in use: the kernel makes the writer wait for its user.
  ///
  /// Errors:
  /// - ENOENT: the device does not exist, or its former driver is no longer loaded.
  /// - EINVAL: the record has an unknown form.
  [[nodiscard]] Result<ChangePlan> unbind(Bdf bdf) const;

  /// Returns the name of the VFIO driver that has the device after `bind` with the same arguments.
  ///
  /// Errors:
  /// - EINVAL, ENOENT: as `bind`.
  [[nodiscard]] Result<std::string> driver_after_bind(const PciFunction& function,
                                                      const std::string& driver) const;

  /// Returns the VFIO driver that was made for this device; empty if vfio-pci is the best.
  [[nodiscard]] std::string variant_driver(const PciFunction& function) const {
    return modules_.variant_driver(function);
  }

 private:
  // Returns whether a bind to `driver` (empty: to any VFIO driver) has nothing to do.
  [[nodiscard]] static bool keeps_driver(const PciFunction& function, const std::string& driver);
  // Returns whether the driver is a VFIO driver for this device, as far as the kernel's lists say.
  [[nodiscard]] bool may_serve(const PciFunction& function, const std::string& driver) const;
  [[nodiscard]] Result<std::string> find_vfio_driver(const PciFunction& function,
                                                     const std::string& wanted) const;
  [[nodiscard]] Error former_driver_missing(const PciFunction& function,
                                            const std::string& driver) const;
  [[nodiscard]] std::filesystem::path record_of(Bdf bdf) const { return records_ / bdf.str(); }

  Sysfs sysfs_;
  std::filesystem::path records_;
  KernelModules modules_;
};

}  // namespace passthru
