// SPDX-License-Identifier: MIT
// The parser of `resource`, and VFIO's rules for mapping BARs.
#include "tools/bars/bars_plan.h"

#include <algorithm>
#include <sstream>
#include <string>

#include "mmap/bar_layout.h"
#include "mmap/msix_placement.h"

namespace passthru::tools {
namespace {

// linux/ioport.h
constexpr uint64_t kIo = 0x100;
constexpr uint64_t kMemory = 0x200;
constexpr uint64_t kPrefetch = 0x2000;
constexpr uint64_t k64Bit = 0x100000;
constexpr uint64_t kUnset = 0x20000000;

HostBar parse_line(const std::string& line) {
  std::istringstream fields(line);
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t flags = 0;
  fields >> std::hex >> first >> last >> flags;
  const bool sized = fields && last >= first && last - first != UINT64_MAX;
  if (!sized || (flags & (kIo | kMemory)) == 0) return {};
  HostBar bar{.shape = {.size = last - first + 1,
                        .io = (flags & kIo) != 0,
                        .is_64bit = (flags & k64Bit) != 0,
                        .prefetchable = (flags & kPrefetch) != 0}};
  if ((flags & kUnset) == 0) bar.address = first;
  return bar;
}

BarInfos shapes_of(const HostBars& bars) {
  BarInfos shapes{};
  for (unsigned i = 0; i < kBars; ++i) shapes[i] = bars[i].shape;
  return shapes;
}

/// Returns whether vfio-pci allows to map the BAR (vfio_pci_probe_mmaps).
bool mappable(const HostBar& bar, uint64_t page_size) {
  if (bar.shape.size >= page_size) return true;
  return bar.address && *bar.address % page_size == 0;
}

BarInspection outline(unsigned index, const BarInfo& shape) {
  return {.index = index,
          .size = shape.size,
          .io = shape.io,
          .is_64bit = shape.is_64bit,
          .prefetchable = shape.prefetchable};
}

SpanKind forbidden_kind(unsigned index, const BarInfo& shape) {
  if (index == kRomBar) return SpanKind::Rom;
  return shape.io ? SpanKind::IoPorts : SpanKind::Mapped;
}

}  // namespace

HostBars parse_resources(std::string_view text) {
  HostBars bars;
  std::istringstream lines{std::string(text)};
  std::string line;
  for (unsigned i = 0; i < kBars && std::getline(lines, line); ++i) bars[i] = parse_line(line);
  return bars;
}

std::optional<MsixLayout> guests_msix(const HostBars& bars, const MsixLayout& msix,
                                      uint64_t page_size) {
  RegionSizes sizes{};
  for (unsigned i = 0; i < kBars; ++i) sizes[i] = bars[i].shape.size;
  return usable_msix(shapes_of(bars), sizes, msix, page_size);
}

std::vector<BarInspection> plan_bars(const HostBars& bars, std::optional<MsixLayout> msix,
                                     uint64_t page_size) {
  BarInfos shapes = shapes_of(bars);
  if (msix) {
    if (const auto placed = place_msix(shapes, *msix, page_size, {})) {
      shapes = placed->shapes;
      msix = placed->layout;
    }
  }
  std::vector<BarInspection> planned;
  for (unsigned i = 0; i < kBars; ++i) {
    const BarInfo& shape = shapes[i];
    if (shape.size == 0) continue;
    std::vector<TrappedRange> trapped;
    if (msix && msix->table_bar == i)
      trapped.push_back({msix->table_offset, msix->table_size(), SpanKind::MsixTable});
    if (msix && msix->pba_bar == i)
      trapped.push_back({msix->pba_offset, msix->pba_size(), SpanKind::MsixPba});
    BarInspection bar = outline(i, shape);
    const std::vector<BarSpan> spans = layout_bar(
        {.size = shape.size,
         .region = {.size = bars[i].shape.size, .mappable = mappable(bars[i], page_size)},
         .page_size = page_size,
         .trapped = trapped,
         .forbidden = forbidden_kind(i, shape)});
    for (const BarSpan& span : spans) {
      bar.spans.push_back({.offset = span.offset, .size = span.size, .kind = span.kind});
    }
    planned.push_back(std::move(bar));
  }
  return planned;
}

std::vector<BarInspection> outline_bars(const HostBars& bars, uint64_t page_size) {
  std::vector<BarInspection> outlined = plan_bars(bars, std::nullopt, page_size);
  for (BarInspection& bar : outlined) {
    if (std::any_of(bar.spans.begin(), bar.spans.end(),
                    [](const SpanInspection& span) { return span.mapped(); })) {
      bar.spans.clear();
    }
  }
  return outlined;
}

}  // namespace passthru::tools
