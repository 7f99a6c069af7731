// SPDX-License-Identifier: MIT
#include "mmap/address_space_placer.h"

#include <utility>
#include <vector>

namespace passthru {

Result<void> AddressSpacePlacer::place(const BarTargets& bars, const BarAddresses& placement) {
  PASSTHRU_TRY(move(mmio_, bars, placement));
  if (auto moved = move(ports_, bars, placement); !moved) {
    ignore(move(mmio_, bars, placement_), "what the VMM does not map again is trapped");
    return moved;
  }
  placement_ = placement;
  return {};
}

Result<void> AddressSpacePlacer::move(AddressSpace& space, const BarTargets& bars,
                                      const BarAddresses& placement) {
  AddressSpaceChange change;
  std::vector<unsigned> added;
  std::array<Place, kBars> places = places_;
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!bars[bar] || &(bars[bar]->io() ? ports_ : mmio_) != &space) continue;
    const auto base = reachable(placement[bar], bars[bar]->size(), space.limit());
    if (base == places_[bar].base) continue;
    if (places_[bar].base) change.remove.push_back(places_[bar].window);
    places[bar] = {base, 0};
    if (!base) continue;
    change.add.push_back({*base, bars[bar]->size(), bars[bar], bars[bar]->window_spans()});
    added.push_back(bar);
  }
  if (change.remove.empty() && change.add.empty()) return {};
  const std::vector<WindowId> ids = PASSTHRU_TRY(space.commit(std::move(change)));
  for (size_t i = 0; i < added.size(); ++i) places[added[i]].window = ids[i];
  places_ = places;
  return {};
}

void AddressSpacePlacer::wait_for_removed() {
  mmio_.wait_for_removed();
  ports_.wait_for_removed();
}

}  // namespace passthru
