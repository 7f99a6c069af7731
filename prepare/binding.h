// SPDX-License-Identifier: MIT
// Owns handing a device from its host driver to vfio-pci and back: what has to be written where, as
// a plan, and the record of the driver that was there. Carrying a plan out is
// prepare/change_plan's.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/change_plan.h"

namespace passthru {

/// Plans bindings. Thread-safe; sysfs is read when a plan is made, so carry it out at once.
///
/// The driver that a device had is kept in a file named after the device under `records`, so that a
/// later process can give the device back. /run is emptied by a boot, and so is what was bound.
class Binding {
 public:
  explicit Binding(Sysfs sysfs, std::filesystem::path records = "/run/passthru")
      : sysfs_(std::move(sysfs)), records_(std::move(records)) {}

  /// From the driver it has, if any, to vfio-pci. Empty where it is bound to it (or a driver built
  /// on it) already. Whether the host can spare it is prepare/in_use's question. Errors of
  /// `bindable_function`; ENOENT: the kernel has no vfio-pci loaded; EBUSY: it has virtual
  /// functions.
  [[nodiscard]] Result<ChangePlan> bind(Bdf bdf) const;

  /// From vfio-pci back to the driver that `bind` found there; where no record is left, to the one
  /// that the kernel chooses. Empty where it is not bound to vfio-pci. ENOENT: no such device, or
  /// the driver that it had is not loaded any more; EINVAL: the record cannot be understood. A
  /// device in use must not be unbound: the kernel would make the writer wait for its user.
  [[nodiscard]] Result<ChangePlan> unbind(Bdf bdf) const;

 private:
  Sysfs sysfs_;
  std::filesystem::path records_;
};

}  // namespace passthru
