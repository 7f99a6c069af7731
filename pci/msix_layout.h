// SPDX-License-Identifier: MIT
// The places of a device's MSI-X table and pending bits, from its capability. Pure. The device may
// be hostile.
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
  /// The offset of the capability in config space; Message Control is 2 bytes further.
  uint8_t capability = 0;
  /// False: the capability announces pending bits where no memory BAR of the device is. Nothing may
  /// read them there.
  bool has_pba = true;

  /// Returns the size in bytes: 16 for each vector.
  [[nodiscard]] uint64_t table_size() const { return uint64_t{vectors} * 16; }
  /// Returns the size in bytes: one bit for each vector, in whole quadwords.
  [[nodiscard]] uint64_t pba_size() const { return uint64_t{(vectors + 63) / 64} * 8; }

  bool operator==(const MsixLayout&) const = default;
};

/// Returns the layout in `config`, a function's config space from its start. Returns nullopt in
/// these cases:
/// - The function has no MSI-X capability.
/// - The capability is cut off.
/// - It names BAR 6 or 7, which no function has, so the table is unusable.
///
/// The caller must check that table and pending bits lie inside their BARs (mmap/msix_placement.h).
std::optional<MsixLayout> find_msix(std::span<const std::byte> config);

}  // namespace passthru
