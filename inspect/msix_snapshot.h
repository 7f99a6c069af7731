// SPDX-License-Identifier: MIT
// Owns a look at the MSI-X state of a device that this process does not assign: through VFIO where
// the device is free, else through its BAR in sysfs. It reads only. `passthru msix show` prints it.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "irq/msix_table.h"
#include "pci/msix_layout.h"
#include "pci/sysfs.h"
#include "vfio/kernel.h"

namespace passthru {

/// What a device itself holds, at one moment.
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

/// The layout of a function's table, from its config space in sysfs. ENODEV: it has no MSI-X;
/// EACCES: the caller, who is not root, sees too little of config space to tell.
Result<MsixLayout> msix_layout_of(const PciFunction& function);

/// Through VFIO where the device is bound to it and free, which resets the device as every opening
/// does; through sysfs where a host driver or another process has it. Errors say why neither works:
/// those of `assignable_group`, of the container and of `snapshot_from_sysfs`.
Result<MsixSnapshot> snapshot_msix(Kernel& kernel, const Sysfs& sysfs, Bdf bdf);

/// Opens the device for the time of the look. ENOTSUP: this VFIO does not let the table be mapped.
/// EBUSY: another process has the device's group open.
Result<MsixSnapshot> snapshot_from_vfio(Kernel& kernel, const Sysfs& sysfs, Bdf bdf);

/// Disturbs nobody. EACCES: not root. EBUSY: the kernel keeps BARs that somebody uses from
/// everybody else (CONFIG_IO_STRICT_DEVMEM). ENXIO: the device does not answer memory accesses now,
/// asleep or with decode off. ERANGE: the capability points outside of the BAR.
Result<MsixSnapshot> snapshot_from_sysfs(const Sysfs& sysfs, Bdf bdf);

}  // namespace passthru
