// SPDX-License-Identifier: MIT
// A check whether a PCI address still belongs to the device that was opened there. The device may
// be unplugged, and another device may get its address.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// The device that was at an address at one moment. Thread-safe.
class DeviceIdentity {
 public:
  /// Remembers the device that is at `bdf` now. Call it while the device is open: it cannot go away
  /// then.
  ///
  /// Errors:
  /// - ENOENT: no device has this address.
  static Result<DeviceIdentity> remember(const Sysfs& sysfs, Bdf bdf);

  /// Compares the device at the address with the remembered device. If sysfs cannot be read, the
  /// check passes. Makes seven small reads of sysfs and does not access the device. Works even
  /// after sysfs is unmounted for this process.
  ///
  /// Errors:
  /// - ENODEV: the address has another device, or no device. The message names both devices.
  [[nodiscard]] Result<void> check() const;

 private:
  /// The kernel creates a new object each time it finds a device, even the same device. Users know
  /// a device by its ids and its group.
  struct Seen {
    uint64_t file_system = 0;
    uint64_t object = 0;  ///< inode of its directory in sysfs
    bool readable = false;
    std::string words{};
    [[nodiscard]] bool is(const Seen& other) const;
  };
  DeviceIdentity(Bdf bdf, Fd devices, Seen opened);
  static Result<Seen> look(int devices, const std::string& bdf);

  Bdf bdf_;
  Fd devices_;  ///< sysfs's directory of PCI functions
  Seen opened_;
};

}  // namespace passthru
