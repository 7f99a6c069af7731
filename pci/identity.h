// SPDX-License-Identifier: MIT
// Owns the question whether a PCI address still belongs to the device that was opened there. An
// address is only a place: what is behind it may be pulled, and the place given to another.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// Which device was behind an address at one moment. Thread-safe.
class DeviceIdentity {
 public:
  /// The device that is there now; ask while it is open, for it cannot go then. ENOENT: none is.
  static Result<DeviceIdentity> remember(const Sysfs& sysfs, Bdf bdf);

  /// ENODEV: the address belongs to another device, or to none. Says what it was and what is there
  /// now. Where it cannot be looked at, the device that was opened is taken to be there. Takes
  /// seven small reads of sysfs, none of the device; works on where sysfs is not mounted for this
  /// process any more.
  [[nodiscard]] Result<void> check() const;

 private:
  /// The kernel's object is new whenever a device is found, even the same one; ids and group are
  /// what a person knows it by.
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
