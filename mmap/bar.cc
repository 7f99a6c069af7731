// SPDX-License-Identifier: MIT
#include "mmap/bar.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace passthru {
namespace {

void fill_ones(std::span<std::byte> data) {
  std::fill(data.begin(), data.end(), std::byte{0xff});
}
void fill_ones(std::span<const std::byte> /*written*/) {}

}  // namespace

Bar::Bar(std::shared_ptr<VfioDevice> device, unsigned index, const BarInfo& shape,
         SpanKind forbidden, std::vector<BarOverlay> overlays)
    : device_(std::move(device)),
      region_(static_cast<Region>(index)),
      info_(device_->region(region_)),
      size_(shape.size),
      io_(shape.io),
      overlays_(std::move(overlays)),
      wide_(!shape.io) {
  std::vector<TrappedRange> trapped;
  std::vector<FlatRange> ranges;
  for (const BarOverlay& overlay : overlays_) {
    trapped.push_back({overlay.offset, overlay.size, overlay.kind});
    ranges.push_back({overlay.offset, overlay.size});
  }
  ranges.push_back({0, size_});
  parts_ = flatten(ranges);
  spans_ = layout_bar({.size = size_,
                       .region = info_,
                       .page_size = device_->page_size(),
                       .trapped = trapped,
                       .forbidden = forbidden});
  counters_ = std::vector<Counters>(spans_.size());
  for (size_t i = 0; i < spans_.size(); ++i) map(spans_[i], counters_[i].error);
}

void Bar::map(BarSpan& span, std::atomic<int>& error) {
  if (!span.mapped() || find_area(span.area) != nullptr) return;
  if (auto region = device_->map(region_, span.area.offset, span.area.size)) {
    areas_.push_back({span.area, std::move(*region)});
  } else {
    span.kind = SpanKind::Refused;
    error = region.error().code;
  }
}

const MappedRegion* Bar::find_area(const MapArea& wanted) const {
  const auto area = std::find_if(areas_.begin(), areas_.end(),
                                 [&](const Area& each) { return each.area == wanted; });
  return area != areas_.end() ? &area->region : nullptr;
}

std::vector<WindowSpan> Bar::window_spans() const {
  std::vector<WindowSpan> mapped;
  for (const BarSpan& span : spans_) {
    if (!span.mapped()) continue;
    // A mapped BAR smaller than a page is alone in its page: the kernel offers it only then.
    const uint64_t size = span.size == size_ ? std::max(size_, device_->page_size()) : span.size;
    mapped.push_back({span.offset, size, memory_of(span)});
  }
  return mapped;
}

std::byte* Bar::memory_of(const BarSpan& span) const {
  return find_area(span.area)->data() + (span.offset - span.area.offset);
}

std::vector<BarSpanMemory> Bar::memory() const {
  std::vector<BarSpanMemory> all;
  for (const BarSpan& span : spans_) {
    BarSpanMemory& each = all.emplace_back();
    each = {.offset = span.offset, .size = span.size, .kind = span.kind};
    if (!span.mapped()) continue;
    each.memory = memory_of(span);
    each.fd = device_->fd();
    each.fd_offset = info_.fd_offset + span.offset;
  }
  return all;
}

std::vector<BarSpanState> Bar::state() const {
  std::vector<BarSpanState> states;
  for (size_t i = 0; i < spans_.size(); ++i) {
    states.push_back({spans_[i], counters_[i].reads.load(std::memory_order_relaxed),
                      counters_[i].writes.load(std::memory_order_relaxed),
                      counters_[i].error.load(std::memory_order_relaxed)});
  }
  return states;
}

void Bar::read(uint64_t offset, std::span<std::byte> data) {
  counters_[span_at(offset)].reads.fetch_add(1, std::memory_order_relaxed);
  for_each_part(
      offset, data,
      [](const BarOverlay& overlay, uint64_t at, std::span<std::byte> bytes) {
        if (overlay.target) {
          overlay.target->read(at, bytes);
        } else {
          fill_ones(bytes);
        }
      },
      [this](uint64_t at, std::span<std::byte> bytes) {
        return device_->read(region_, at, bytes);
      });
}

void Bar::write(uint64_t offset, std::span<const std::byte> data) {
  counters_[span_at(offset)].writes.fetch_add(1, std::memory_order_relaxed);
  for_each_part(
      offset, data,
      [](const BarOverlay& overlay, uint64_t at, std::span<const std::byte> bytes) {
        if (overlay.target) overlay.target->write(at, bytes);
      },
      [this](uint64_t at, std::span<const std::byte> bytes) {
        return region_ == Region::Rom ? Result<void>{} : device_->write(region_, at, bytes);
      });
}

size_t Bar::span_at(uint64_t offset) const {
  const auto next =
      std::upper_bound(spans_.begin(), spans_.end(), offset,
                       [](uint64_t at, const BarSpan& span) { return at < span.offset; });
  return static_cast<size_t>(next - spans_.begin()) - 1;
}

/// Splits an access between the overlays and the device.
template <class Bytes, class Overlay, class Device>
void Bar::for_each_part(uint64_t offset, Bytes data, Overlay overlay, Device device) {
  auto part = std::prev(
      std::upper_bound(parts_.begin(), parts_.end(), offset,
                       [](uint64_t at, const FlatSegment& each) { return at < each.base; }));
  for (; !data.empty() && part != parts_.end(); ++part) {
    const Bytes bytes =
        data.first(std::min<uint64_t>(data.size(), part->base + part->size - offset));
    if (part->owner < overlays_.size()) {
      const BarOverlay& owner = overlays_[part->owner];
      overlay(owner, offset - owner.offset, bytes);
    } else {
      for_each_piece(offset, bytes, device);
    }
    data = data.subspan(bytes.size());
    offset += bytes.size();
  }
  fill_ones(data);
}

/// Returns the widest naturally aligned access that the kernel makes in one piece, so that no
/// register is torn.
size_t Bar::width_at(uint64_t offset, uint64_t left) const {
  size_t width = wide_.load(std::memory_order_relaxed) ? 8 : 4;
  while (offset % width != 0 || width > left) width /= 2;
  return width;
}

template <class Bytes, class Access>
void Bar::for_each_piece(uint64_t offset, Bytes data, Access access) {
  while (!data.empty() && offset < info_.size) {
    const Bytes piece =
        data.first(width_at(offset, std::min<uint64_t>(data.size(), info_.size - offset)));
    if (const Result<void> done = access(offset, piece); !done) {
      if (piece.size() == 8 && done.error().code == EINVAL) {
        wide_.store(false,
                    std::memory_order_relaxed);  // kernels before 6.12 may refuse 8 bytes at once
        continue;
      }
      failed_.fetch_add(1, std::memory_order_relaxed);
      if (done.error().code == EBUSY) counters_[span_at(offset)].error = EBUSY;
      fill_ones(piece);
    }
    data = data.subspan(piece.size());
    offset += piece.size();
  }
  fill_ones(data);  // the BAR is larger than the region
}

}  // namespace passthru
