// SPDX-License-Identifier: MIT
#include "device/vmm_placer.h"

#include <utility>

namespace passthru {

VmmPlacer::VmmPlacer(Domain& domain, Bdf guest_address)
    : domain_(domain), guest_address_(guest_address) {
  LeftBars::Targets left = domain_.left_bars().take(guest_address_);
  for (unsigned bar = 0; bar < kBars; ++bar) places_[bar].shown = std::move(left[bar]);
}

VmmPlacer::~VmmPlacer() {
  LeftBars::Targets left;
  for (unsigned bar = 0; bar < kBars; ++bar) left[bar] = std::move(places_[bar].shown);
  domain_.left_bars().keep(guest_address_, std::move(left));
}

// Removals go first: a BAR may move to the place that another leaves.
Result<void> VmmPlacer::place(const BarTargets& bars, const BarAddresses& placement) {
  domain_.left_bars().retry();
  BarAddresses wanted;
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!bars[bar]) continue;
    const AddressSpace& space = bars[bar]->io() ? domain_.ports() : domain_.mmio();
    wanted[bar] = reachable(placement[bar], bars[bar]->size(), space.limit());
  }
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!wanted[bar]) remove(bar);
  }
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!wanted[bar] || wanted[bar] == places_[bar].address) continue;
    auto placed = put(bar, bars, *wanted[bar]);
    // A BAR that the VMM did not take back after a failed change does not make others fail.
    if (placed || wanted[bar] == accepted_[bar]) continue;
    put_back(bars);
    return placed;
  }
  accepted_ = wanted;
  return {};
}

/// Places a BAR. On error the VMM has it where it was.
Result<void> VmmPlacer::put(unsigned bar, const BarTargets& bars, uint64_t address) {
  hide_from_peers(bar);
  auto placed = domain_.hypervisor().place_bar(guest_address_, bar, address);
  if (placed) places_[bar] = {.address = address, .shown = bars[bar]};
  offer_to_peers(bar, *bars[bar]);
  return placed;
}

/// Removes a BAR. If the VMM fails, the next placement tries again, and its memory stays mapped.
void VmmPlacer::remove(unsigned bar) {
  Place& place = places_[bar];
  if (!place.shown) return;
  hide_from_peers(bar);
  place.address.reset();
  if (domain_.hypervisor().place_bar(guest_address_, bar, std::nullopt)) place.shown.reset();
}

void VmmPlacer::offer_to_peers(unsigned bar, const Bar& target) {
  Place& place = places_[bar];
  if (!place.address) return;
  for (const WindowSpan& span : target.window_spans()) {
    const uint64_t address = *place.address + span.offset;
    if (address % domain_.kernel().page_size() != 0) continue;
    place.peers.push_back({.address = address, .size = span.size, .memory = span.memory});
    domain_.peers().show(place.peers.back());
  }
}

void VmmPlacer::hide_from_peers(unsigned bar) {
  for (const GuestMapping& part : std::exchange(places_[bar].peers, {})) {
    domain_.peers().hide(part);
  }
}

/// Undoes the part of a placement that has happened. A BAR that the VMM now refuses is removed.
void VmmPlacer::put_back(const BarTargets& bars) {
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!accepted_[bar]) remove(bar);
  }
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!accepted_[bar] || accepted_[bar] == places_[bar].address) continue;
    if (!put(bar, bars, *accepted_[bar])) remove(bar);
  }
}

}  // namespace passthru
