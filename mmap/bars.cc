// SPDX-License-Identifier: MIT
#include "mmap/bars.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace passthru {
namespace {

SpanKind forbidden_kind(unsigned bar, const BarInfo& shape, const BarsOptions& options) {
  if (bar == kRomBar) return SpanKind::Rom;
  if (shape.io) return SpanKind::IoPorts;
  return (options.excluded & 1U << bar) != 0 ? SpanKind::Excluded : SpanKind::Mapped;
}

}  // namespace

Bars::Bars(AddressSpace& mmio, AddressSpace& ports) : mmio_(mmio), ports_(ports) {}

Result<std::unique_ptr<Bars>> Bars::create(const std::shared_ptr<VfioDevice>& device,
                                           AddressSpace& mmio, AddressSpace& ports,
                                           const BarInfos& shapes, std::vector<BarOverlay> overlays,
                                           const BarsOptions& options) {
  for (const BarOverlay& overlay : overlays) {
    const uint64_t size = overlay.bar < kBars ? shapes[overlay.bar].size : 0;
    if (overlay.size == 0 || overlay.size > size || overlay.offset > size - overlay.size) {
      return fail(EINVAL, "lay out a BAR", "an overlay is not within its BAR");
    }
  }
  std::unique_ptr<Bars> bars(new Bars(mmio, ports));
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (shapes[bar].size == 0) continue;
    std::vector<BarOverlay> own;
    std::copy_if(overlays.begin(), overlays.end(), std::back_inserter(own),
                 [bar](const BarOverlay& overlay) { return overlay.bar == bar; });
    bars->bars_[bar] = std::make_shared<Bar>(
        device, bar, shapes[bar], forbidden_kind(bar, shapes[bar], options), std::move(own));
    bars->io_[bar] = shapes[bar].io;
  }
  return bars;
}

Bars::~Bars() {
  ignore(place({}), "removing BARs never fails");
  mmio_.wait_for_removed();
  ports_.wait_for_removed();
}

Result<void> Bars::place(const BarAddresses& placement) {
  PASSTHRU_TRY(move(mmio_, placement));
  if (auto moved = move(ports_, placement); !moved) {
    ignore(move(mmio_, placement_), "what the VMM does not map again is trapped");
    return moved;
  }
  placement_ = placement;
  return {};
}

/// Moves the BARs of one space in one commit.
Result<void> Bars::move(AddressSpace& space, const BarAddresses& placement) {
  AddressSpaceChange change;
  std::vector<unsigned> added;
  std::array<Place, kBars> places = places_;
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!bars_[bar] || &space_of(bar) != &space) continue;
    const std::optional<uint64_t> base = reachable(bar, placement[bar]);
    if (base == places_[bar].base) continue;
    if (places_[bar].base) change.remove.push_back(places_[bar].window);
    places[bar] = {base, 0};
    if (!base) continue;
    change.add.push_back({*base, bars_[bar]->size(), bars_[bar], bars_[bar]->window_spans()});
    added.push_back(bar);
  }
  if (change.remove.empty() && change.add.empty()) return {};
  const std::vector<WindowId> ids = PASSTHRU_TRY(space.commit(std::move(change)));
  for (size_t i = 0; i < added.size(); ++i) places[added[i]].window = ids[i];
  places_ = places;
  return {};
}

/// Returns nothing for a BAR that ends beyond its space. The address is compared, never truncated.
std::optional<uint64_t> Bars::reachable(unsigned bar, std::optional<uint64_t> address) const {
  const uint64_t limit = space_of(bar).limit();
  const uint64_t size = bars_[bar]->size();
  if (!address || size > limit || *address > limit - size) return std::nullopt;
  return address;
}

std::vector<BarSpanState> Bars::spans(unsigned bar) const {
  return bars_[bar] ? bars_[bar]->state() : std::vector<BarSpanState>{};
}

uint64_t Bars::failed_accesses() const {
  uint64_t failed = 0;
  for (const auto& bar : bars_) failed += bar ? bar->failed_accesses() : 0;
  return failed;
}

}  // namespace passthru
