// SPDX-License-Identifier: MIT
// BARs as windows of the guest's address spaces: the library maps their pages and answers their
// other accesses.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

#include "mmap/address_space.h"
#include "mmap/bar_placer.h"

namespace passthru {

/// Puts a device's BARs into two address spaces, which must outlive it.
class AddressSpacePlacer final : public BarPlacer {
 public:
  AddressSpacePlacer(AddressSpace& mmio, AddressSpace& ports) : mmio_(mmio), ports_(ports) {}

  Result<void> place(const BarTargets& bars, const BarAddresses& placement) override;
  void wait_for_removed() override;

 private:
  struct Place {
    std::optional<uint64_t> base{};  ///< empty: not in the guest
    WindowId window = 0;
  };
  /// Moves the BARs of one space in one commit.
  Result<void> move(AddressSpace& space, const BarTargets& bars, const BarAddresses& placement);

  AddressSpace& mmio_;
  AddressSpace& ports_;
  std::array<Place, kBars> places_;
  BarAddresses placement_{};  ///< the last one
};

}  // namespace passthru
