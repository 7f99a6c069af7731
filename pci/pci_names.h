// SPDX-License-Identifier: MIT
// Owns the names of vendors, devices and classes: the pci.ids list, read by libpci. For listings
// and messages; nothing may depend on a name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace passthru {

/// The list of PCI ids. Thread-safe. Where the list is missing or damaged, names are numbers.
class PciNames {
 public:
  /// `file`: another list than the system's; for tests.
  explicit PciNames(const std::string& file = {});
  ~PciNames();
  PciNames(const PciNames&) = delete;
  PciNames& operator=(const PciNames&) = delete;

  /// "Intel Corporation 82574L Gigabit Network Connection"; numbers stand in for what the list
  /// lacks.
  [[nodiscard]] std::string device(uint16_t vendor, uint16_t device) const;
  /// "Ethernet controller", from base class and subclass: the upper 16 of the 24 bits.
  [[nodiscard]] std::string device_class(uint16_t base_and_subclass) const;

 private:
  struct List;
  std::unique_ptr<List> list_;
};

}  // namespace passthru
