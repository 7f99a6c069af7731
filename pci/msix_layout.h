// SPDX-License-Identifier: MIT
// Owns where a device keeps its MSI-X table and pending bits, as its capability says. Pure; the
// capability is the device's and may be hostile. The table, the BAR layout and `passthru msix show`
// start from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace passthru {

/// The MSI-X capability of a function (PCI 3.0, 6.8.2).
struct MsixLayout {
  unsigned vectors = 0;       ///< 1 to 2,048
  unsigned table_bar = 0;     ///< 0 to 5
  uint64_t table_offset = 0;  ///< bytes into the BAR, a multiple of 8
  unsigned pba_bar = 0;       ///< 0 to 5
  uint64_t pba_offset = 0;    ///< bytes into the BAR, a multiple of 8
  uint8_t capability =
      0;  ///< where the capability is in config space; Message Control is 2 bytes on

  /// Bytes: 16 a vector.
  [[nodiscard]] uint64_t table_size() const { return uint64_t{vectors} * 16; }
  /// Bytes: one bit a vector, in whole quadwords.
  [[nodiscard]] uint64_t pba_size() const { return uint64_t{(vectors + 63) / 64} * 8; }

  bool operator==(const MsixLayout&) const = default;
};

/// The layout in `config`, a function's config space from its start. Nothing where there is no
/// MSI-X capability, where it is cut off, or where it names a BAR that no function has (6 or 7):
/// such a device has no table that anybody could use. Whether the table lies inside its BAR is for
/// who knows the BAR.
std::optional<MsixLayout> find_msix(std::span<const std::byte> config);

}  // namespace passthru
