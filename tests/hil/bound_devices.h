// SPDX-License-Identifier: MIT
// Owns the answer to what tests on real VFIO may use: every device that is bound to vfio-pci here,
// and a way to reset it that VFIO does not see.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "tests/hil/tested_backend.h"
#include "vfio/device_source.h"

namespace passthru {

struct BoundDevice {
  Bdf bdf;
  uint32_t group = 0;

  /// By its group, or by its own node where PASSTHRU_BACKEND says "cdev".
  [[nodiscard]] DeviceHandle door() const;
  /// For the name of a test: the BDF with underscores.
  [[nodiscard]] std::string name() const;
  /// The kernel has found that it has a function-level reset (reset_method, since Linux 5.15).
  [[nodiscard]] bool has_flr() const;
  /// Sets Initiate Function Level Reset in Device Control (PCI Express 5.0, 7.5.3.4) through sysfs.
  void reset_behind_vfio() const;
};

/// Ordered by BDF; empty where none is bound.
std::vector<BoundDevice> bound_devices();
/// Of those, the ones with a function-level reset, and with MSI-X.
std::vector<BoundDevice> devices_with_flr();
std::vector<BoundDevice> devices_with_msix();
/// All of them where the run is about this backend, otherwise none.
std::vector<BoundDevice> devices_by(Backend backend);

}  // namespace passthru
