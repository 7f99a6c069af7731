// SPDX-License-Identifier: MIT
// Owns where a guest finds its MSI-X table and pending bits: where the device has its own, or in a
// BAR that the device does not have (`msix=auto|inplace|barN`). Pure; only ConfigSpace calls it.
#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "mmap/bar_info.h"
#include "pci/msix_layout.h"

namespace passthru {

/// What the user wants.
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

/// What the guest sees.
struct MsixPlacement {
  BarInfos shapes{};
  MsixLayout layout{};  ///< of the virtual table and pending bits; the capability says the same
  /// Where the physical table is, when the virtual one is elsewhere: nobody answers there.
  std::optional<BarRange> hidden{};
};

/// Decides it.
///
/// The pages of the *physical table* stay trapped wherever the virtual one is: a guest that reached
/// them could write messages of its own. Registers in those pages reach the device by single
/// accesses, with the table's bytes cut out. What relocation frees is the rest: a page of the
/// physical *pending bits* that is not also the table's is mapped then, with the registers in it.
/// Pending bits are read-only to software (PCI 3.0, 6.8.2.10) and tell a guest nothing but what its
/// own device is about to signal.
///
/// The new place is a BAR that the device lacks (a new 32-bit one, not prefetchable), or the upper
/// part of a memory BAR made at least twice as large; it begins on a page of its own. `Auto` takes
/// the lowest register that is free, otherwise enlarges the smallest BAR.
///
/// `shapes` are the device's; `physical` lies within them; `page_size` is the host's. EINVAL: the
/// BAR chosen is for ports, or the upper half of another; ENOSPC: it would be larger than BARs can
/// be. The advice says which BARs can be chosen.
Result<MsixPlacement> place_msix(const BarInfos& shapes, const MsixLayout& physical,
                                 uint64_t page_size, const MsixChoice& choice);

}  // namespace passthru
