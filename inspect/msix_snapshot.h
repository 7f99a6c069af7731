// SPDX-License-Identifier: MIT
// A snapshot of the MSI-X state of a device that this process does not assign: through VFIO if the
// device is free, else through its BAR in sysfs. Reads only. `passthru msix show` prints it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "irq/msix_table.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"
#include "vfio/kernel.h"

namespace passthru {

/// The MSI-X state that a device itself holds, at one moment.
struct MsixSnapshot {
  enum class Source { Vfio, Sysfs };
  struct Vector {
    MsixEntry entry{};
    bool pending = false;
    bool operator==(const Vector&) const = default;
  };

  Source source = Source::Vfio;
  MsixLayout layout{};
  uint16_t control = 0;  ///< Message Control: Enable, Function Mask, size
  std::vector<Vector> vectors{};
};

/// Returns the layout of a function's table, from its config space in sysfs.
///
/// Errors:
/// - ENODEV: the function has no MSI-X.
/// - EACCES: the caller is not root and cannot read enough of config space.
Result<MsixLayout> msix_layout_of(const PciFunction& function);

/// Reads through VFIO if the device is bound to it and free; as every opening does, this resets the
/// device. Reads through sysfs if a host driver or another process has the device. Errors: those of
/// `assignable_group`, of the container and of `snapshot_from_sysfs`.
Result<MsixSnapshot> snapshot_msix(Kernel& kernel, const Sysfs& sysfs, Bdf bdf);

/// Opens the device and closes it again.
///
/// Errors:
/// - ENOTSUP: VFIO does not allow a mapping of the table.
/// - EBUSY: another process has the device's group open.
Result<MsixSnapshot> snapshot_from_vfio(Kernel& kernel, const Sysfs& sysfs, Bdf bdf);

/// Reads without an effect on the device's user.
///
/// Errors:
/// - EACCES: the caller is not root.
/// - EBUSY: the kernel denies access to a BAR in use (CONFIG_IO_STRICT_DEVMEM).
/// - ENXIO: the device does not answer memory accesses: it is asleep, or its decode is off.
/// - ERANGE: the capability points outside of the BAR.
Result<MsixSnapshot> snapshot_from_sysfs(const Sysfs& sysfs, Bdf bdf);

}  // namespace passthru
