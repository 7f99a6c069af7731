// SPDX-License-Identifier: MIT
// The placement of the MSI-X table and pending bits in the guest: where the device has them, or in
// a BAR that the device does not have (`msix=auto|inplace|barN`). Pure; only ConfigSpace calls it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "base/result.h"
#include "mmap/bar_info.h"
#include "pci/msix_layout.h"

namespace passthru {

inline constexpr unsigned kMaxMsixVectors = 2048;

/// The place that the user chose.
struct MsixChoice {
  enum class Kind {
    InPlace,  ///< where the device has them: the guest sees the device as it is
    Auto,     ///< elsewhere, if registers may share their pages and there is room; else in place
    Bar,      ///< into `bar`
  };
  Kind kind = Kind::InPlace;
  unsigned bar = 0;  ///< 0 to 5
  bool operator==(const MsixChoice&) const = default;
};

/// A part of a BAR.
struct BarRange {
  unsigned bar = 0;
  uint64_t offset = 0;  ///< bytes
  uint64_t size = 0;
  bool operator==(const BarRange&) const = default;
};

/// The BARs and the MSI-X layout that the guest sees.
struct MsixPlacement {
  BarInfos shapes{};
  MsixLayout layout{};  ///< of the virtual table and pending bits; the capability says the same
  /// The range of the physical table that the virtual table does not cover: all of it if the
  /// virtual table is elsewhere, its end if the guest has fewer vectors. Nothing answers there.
  std::optional<BarRange> hidden{};
};

/// The number of bytes behind each BAR in the device; 0: none.
using RegionSizes = std::array<uint64_t, kBars>;

/// Returns the layout that the device's capability announces, if the guest can have it. `has_pba`
/// is false if the pending bits are not within a memory BAR: `place_msix` then puts the guest's
/// somewhere else. `sizes` are at most those of `shapes`.
///
/// Returns nothing in these cases:
/// - The table is not within a memory BAR.
/// - Table and pending bits overlap.
/// - No BAR has room for the pending bits.
std::optional<MsixLayout> usable_msix(const BarInfos& shapes, const RegionSizes& sizes,
                                      MsixLayout announced, uint64_t page_size);

/// Returns the placement for `choice`.
///
/// The pages of the *physical table* stay trapped wherever the virtual table is: a guest that
/// reached them could write its own messages. Registers in those pages reach the device by single
/// accesses, with the table's bytes cut out.
///
/// Relocation frees the pages of the physical *pending bits* that hold nothing of the table. They
/// are mapped, with the registers in them. Pending bits are read-only to software
/// (PCI 3.0, 6.8.2.10). They only tell a guest what its own device is about to signal.
///
/// The new place is a new BAR (32-bit, not prefetchable), or the upper part of a memory BAR that
/// becomes at least twice as large. It begins on its own page. `Auto` takes the lowest free
/// register, otherwise it enlarges the smallest BAR.
///
/// If the device has no pending bits (`has_pba`), those of the guest get such a place even if the
/// table stays.
///
/// `shapes` are the device's BARs, `physical` is a result of `usable_msix`, and `page_size` is the
/// host's. The guest has at most `max_vectors` vectors (at least 1), and a table of that size.
///
/// Errors (the hint names the BARs that can be chosen):
/// - EINVAL: the chosen BAR does not exist, is an I/O BAR, or is the upper half of another BAR.
/// - ENOSPC: the BAR would be larger than a BAR can be.
Result<MsixPlacement> place_msix(const BarInfos& shapes, const MsixLayout& physical,
                                 uint64_t page_size, const MsixChoice& choice,
                                 unsigned max_vectors = kMaxMsixVectors);

}  // namespace passthru
