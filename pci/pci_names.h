// SPDX-License-Identifier: MIT
// Names of vendors, devices and classes from the pci.ids list, read by libpci. For listings and
// messages only: no decision may depend on a name.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

namespace passthru {

/// The list of PCI ids. Thread-safe. If the list is missing or damaged, names are numbers.
class PciNames {
 public:
  /// Tests give a `file` in place of the system's list.
  explicit PciNames(const std::string& file = {});
  ~PciNames();
  PciNames(const PciNames&) = delete;
  PciNames& operator=(const PciNames&) = delete;

  /// Returns a name such as "Intel Corporation 82574L Gigabit Network Connection", with numbers for
  /// what the list lacks.
  [[nodiscard]] std::string device(uint16_t vendor, uint16_t device) const;
  /// Returns a name such as "Ethernet controller". The argument is the base class and the subclass,
  /// the upper 16 of the 24 bits.
  [[nodiscard]] std::string device_class(uint16_t base_and_subclass) const;

 private:
  struct List;
  std::unique_ptr<List> list_;
};

}  // namespace passthru
