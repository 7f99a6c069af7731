// SPDX-License-Identifier: MIT
// The record that `bind` leaves for `unbind`: the state of a device before VFIO, as a small file.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"
#include "pci/sysfs.h"

namespace passthru {

/// The state to which `unbind` restores a device. A value.
struct BindingRecord {
  uint16_t vendor = 0;  ///< this and the next: the device to which the record belongs
  uint16_t device = 0;
  std::string vfio_driver{};            ///< the override that the bind sets
  std::optional<std::string> driver{};  ///< the former driver; empty: none; nullopt: not known
  std::string driver_override{};        ///< the former override; empty: none
  bool operator==(const BindingRecord&) const = default;

  /// Returns whether the record belongs to the device that has the slot now.
  [[nodiscard]] bool is_of(const PciFunction& function) const;
  /// Returns whether the override may be one that an interrupted bind or unbind left: the VFIO
  /// driver's, or empty while the former driver returns.
  [[nodiscard]] bool may_have_set_override_of(const PciFunction& function) const;
  /// Returns the content of the file.
  [[nodiscard]] std::string text() const;
};

/// Returns nullopt if the file does not exist.
///
/// Errors:
/// - EINVAL: the file has an unknown form.
/// - Errors of reading the file.
Result<std::optional<BindingRecord>> read_binding_record(const std::filesystem::path& file);

}  // namespace passthru
