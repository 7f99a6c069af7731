// SPDX-License-Identifier: MIT
// BARs that the VMM puts into its guest. Private to device/.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "device/domain.h"
#include "mmap/bar_placer.h"
#include "pci/bdf.h"

namespace passthru {

/// Calls Hypervisor::place_bar for each BAR whose place changes. The guest's other devices reach
/// the mapped parts of its BARs by DMA, if the IOMMU can map them (P2pMapper).
class VmmPlacer final : public BarPlacer {
 public:
  /// `domain` must outlive this object. `guest_address` is the device's.
  VmmPlacer(Domain& domain, Bdf guest_address);
  /// Leaves the BARs that the VMM did not remove to the domain.
  ~VmmPlacer() override;
  VmmPlacer(const VmmPlacer&) = delete;
  VmmPlacer& operator=(const VmmPlacer&) = delete;

  Result<void> place(const BarTargets& bars, const BarAddresses& placement) override;
  /// The VMM has waited for accesses in `place_bar`. Waits for DMA of other devices.
  void wait_for_removed() override { domain_.peers().wait_for_unmapped(); }

 private:
  /// A BAR as the VMM has it.
  struct Place {
    std::optional<uint64_t> address{};  ///< empty: removed, or the VMM failed to remove it
    /// The guest may reach its memory. Null: the VMM has removed it.
    std::shared_ptr<AccessTarget> shown{};
    std::vector<GuestMapping> peers{};  ///< the parts that devices may reach
  };

  Result<void> put(unsigned bar, const BarTargets& bars, uint64_t address);
  void remove(unsigned bar);
  void put_back(const BarTargets& bars);
  void offer_to_peers(unsigned bar, const Bar& target);
  void hide_from_peers(unsigned bar);

  Domain& domain_;
  const Bdf guest_address_;
  std::array<Place, kBars> places_;
  BarAddresses accepted_{};  ///< the last placement that did not fail
};

}  // namespace passthru
