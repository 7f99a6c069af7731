// SPDX-License-Identifier: MIT
// The devices that tests on real VFIO may use: all devices bound to vfio-pci on this machine; and a
// reset that VFIO does not notice.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "pci/bdf.h"
#include "tests/hil/tested_backend.h"
#include "vfio/device_source.h"

namespace passthru {

/// Where the guests of these tests place their first BAR.
inline constexpr uint64_t kGuest = 0xc000'0000;

struct BoundDevice {
  Bdf bdf;
  uint32_t group = 0;

  /// Returns a handle by the group, or by the device's own node if PASSTHRU_BACKEND is "cdev".
  [[nodiscard]] DeviceHandle door() const;
  /// Returns the BDF with underscores, for the names of tests.
  [[nodiscard]] std::string name() const;
  /// Returns whether the kernel lists a function-level reset (reset_method, since Linux 5.15).
  [[nodiscard]] bool has_flr() const;
  /// Sets Initiate Function Level Reset in Device Control (PCI Express 5.0, 7.5.3.4) through sysfs.
  void reset_behind_vfio() const;
};

/// Returns all bound devices in the order of BDFs.
std::vector<BoundDevice> bound_devices();
/// Return the bound devices with a function-level reset, with MSI-X, and with an interrupt pin.
std::vector<BoundDevice> devices_with_flr();
std::vector<BoundDevice> devices_with_msix();
std::vector<BoundDevice> devices_with_pin();
/// Returns all bound devices if the run tests this backend, otherwise an empty list.
std::vector<BoundDevice> devices_by(Backend backend);

}  // namespace passthru
