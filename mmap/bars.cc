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

Result<std::unique_ptr<Bars>> Bars::create(const std::shared_ptr<VfioDevice>& device,
                                           std::unique_ptr<BarPlacer> placer,
                                           const BarInfos& shapes, std::vector<BarOverlay> overlays,
                                           const BarsOptions& options) {
  for (const BarOverlay& overlay : overlays) {
    const uint64_t size = overlay.bar < kBars ? shapes[overlay.bar].size : 0;
    if (overlay.size == 0 || overlay.size > size || overlay.offset > size - overlay.size) {
      return fail(EINVAL, "lay out a BAR", "an overlay is not within its BAR");
    }
  }
  std::unique_ptr<Bars> bars(new Bars(std::move(placer)));
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (shapes[bar].size == 0) continue;
    std::vector<BarOverlay> own;
    std::copy_if(overlays.begin(), overlays.end(), std::back_inserter(own),
                 [bar](const BarOverlay& overlay) { return overlay.bar == bar; });
    bars->bars_[bar] = std::make_shared<Bar>(
        device, bar, shapes[bar], forbidden_kind(bar, shapes[bar], options), std::move(own));
  }
  return bars;
}

Bars::~Bars() {
  ignore(place({}), "removing BARs never fails");
  placer_->wait_for_removed();
}

Result<void> Bars::place(const BarAddresses& placement) {
  PASSTHRU_TRY(placer_->place(bars_, placement));
  placement_ = placement;
  return {};
}

std::vector<BarSpanState> Bars::spans(unsigned bar) const {
  return bars_[bar] ? bars_[bar]->state() : std::vector<BarSpanState>{};
}

std::vector<BarSpanMemory> Bars::memory(unsigned bar) const {
  return bars_[bar] ? bars_[bar]->memory() : std::vector<BarSpanMemory>{};
}

uint64_t Bars::failed_accesses() const {
  uint64_t failed = 0;
  for (const auto& bar : bars_) failed += bar ? bar->failed_accesses() : 0;
  return failed;
}

}  // namespace passthru
