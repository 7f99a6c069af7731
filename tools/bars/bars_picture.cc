// SPDX-License-Identifier: MIT
#include "tools/bars/bars_picture.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/size_text.h"
#include "mmap/bar_layout.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

/// A range of a BAR that belongs to MSI-X.
struct Mark {
  uint64_t offset = 0;
  uint64_t size = 0;
  Part part = Part::Table;
};

std::vector<Mark> marks_in(const DeviceBars& device, unsigned bar) {
  std::vector<Mark> marks;
  if (!device.msix) return marks;
  const MsixLayout& msix = *device.msix;
  if (msix.table_bar == bar) marks.push_back({msix.table_offset, msix.table_size(), Part::Table});
  if (msix.has_pba && msix.pba_bar == bar)
    marks.push_back({msix.pba_offset, msix.pba_size(), Part::Pba});
  std::sort(marks.begin(), marks.end(),
            [](const Mark& a, const Mark& b) { return a.offset < b.offset; });
  return marks;
}

Part part_of(const SpanInspection& span) {
  switch (span.kind) {
    case SpanKind::Mapped:
      return Part::Mapped;
    case SpanKind::MsixTable:
      return Part::Table;
    case SpanKind::MsixPba:
      return Part::Pba;
    default:
      return Part::Trapped;
  }
}

/// Cuts the span at the ends of the marks. Without a mark in it, the whole span is of its own part.
void cut(const SpanRow& row, const std::vector<Mark>& marks, std::vector<Piece>& pieces) {
  const uint64_t end = row.span.offset + std::min(row.span.size, UINT64_MAX - row.span.offset);
  uint64_t at = row.span.offset;
  const auto add = [&](uint64_t until, Part part) {
    if (until <= at) return;
    pieces.push_back({.offset = at,
                      .size = until - at,
                      .part = part,
                      .mapped = row.span.mapped(),
                      .begins_span = at == row.span.offset,
                      .heat = row.heat});
    at = until;
  };
  bool marked = false;
  const Part rest = row.part == Part::Mapped ? Part::Mapped : Part::Trapped;
  for (const Mark& mark : marks) {
    if (mark.offset >= end || mark.offset + mark.size <= at) continue;
    add(mark.offset, rest);
    add(std::min(mark.offset + mark.size, end), mark.part);
    marked = true;
  }
  add(end, marked ? rest : row.part);
}

std::string heading(const BarInspection& bar) {
  std::string text = bar.index == kRomBar ? "Expansion ROM: " : fmt::format("BAR {}: ", bar.index);
  if (bar.io) {
    text += "I/O ports";
  } else {
    text += bar.is_64bit ? "memory, 64-bit" : "memory, 32-bit";
    if (bar.index != kRomBar) text += bar.prefetchable ? ", prefetchable" : ", non-prefetchable";
  }
  return text + ", " + size_text(bar.size);
}

std::string where(const DeviceBars& device, const BarInspection& bar) {
  const auto host = bar.index < kBars ? device.host_addresses[bar.index] : std::nullopt;
  std::string text = host ? fmt::format("host {:#x}", *host) : "no host address";
  if (device.plan) return text;
  return text +
         (bar.decoded ? fmt::format(", guest {:#x}", bar.guest_address) : ", guest not decoded");
}

std::string msix_words(const DeviceBars& device, unsigned bar) {
  std::string text;
  if (!device.msix) return text;
  const MsixLayout& msix = *device.msix;
  if (msix.table_bar == bar) {
    text = fmt::format("Device's MSI-X table of {} vectors at {:#x}, {}", msix.vectors,
                       msix.table_offset, size_text(msix.table_size()));
  }
  if (msix.has_pba && msix.pba_bar == bar) {
    text += text.empty() ? "Device's " : "; ";
    text += fmt::format("pending bits at {:#x}, {}", msix.pba_offset, size_text(msix.pba_size()));
  }
  return text;
}

uint64_t accesses(const SpanInspection& span) {
  const uint64_t sum = span.trapped_reads + span.trapped_writes;
  return sum < span.trapped_reads ? UINT64_MAX : sum;
}

uint64_t hottest_of(const DeviceBars& device) {
  uint64_t hottest = 0;
  for (const BarInspection& bar : device.bars) {
    for (const SpanInspection& span : bar.spans) hottest = std::max(hottest, accesses(span));
  }
  return hottest;
}

void lay_out(BarRow& row, const std::vector<Mark>& marks, Scale scale) {
  for (const SpanRow& span : row.spans) cut(span, marks, row.pieces);
  if (row.pieces.empty()) row.pieces.push_back({.size = row.size, .begins_span = true});
  std::vector<uint64_t> sizes;
  for (const Piece& piece : row.pieces) sizes.push_back(piece.size);
  const std::vector<unsigned> widths = share_out(sizes, scale);
  unsigned first = 0;
  for (size_t i = 0; i < widths.size(); ++i) {
    row.pieces[i].first = first;
    row.pieces[i].cells = widths[i];
    first += widths[i];
    if (widths[i] == 0) ++row.undrawn;
  }
}

/// Returns cells in proportion to the sizes. The cells that rounding leaves go to the sizes that
/// lost most by it.
std::vector<unsigned> in_proportion(const std::vector<double>& sizes, unsigned cells) {
  if (sizes.empty()) return {};
  const double all = std::accumulate(sizes.begin(), sizes.end(), 0.0);
  std::vector<unsigned> widths(sizes.size());
  std::vector<std::pair<double, size_t>> lost;
  unsigned given = 0;
  for (size_t i = 0; i < sizes.size(); ++i) {
    const double exact =
        all > 0 ? sizes[i] / all * cells : cells / static_cast<double>(sizes.size());
    widths[i] = std::min(static_cast<unsigned>(exact), cells - given);
    given += widths[i];
    lost.emplace_back(widths[i] - exact, i);
  }
  std::sort(lost.begin(), lost.end());
  for (size_t i = 0; given < cells; i = (i + 1) % lost.size(), ++given) ++widths[lost[i].second];
  return widths;
}

std::vector<unsigned> one_for_the_largest(std::span<const uint64_t> sizes, unsigned cells) {
  std::vector<size_t> order(sizes.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return sizes[a] > sizes[b]; });
  std::vector<unsigned> widths(sizes.size());
  for (size_t i = 0; i < cells; ++i) widths[order[i]] = 1;
  return widths;
}

}  // namespace

std::vector<unsigned> share_out(std::span<const uint64_t> sizes, Scale scale) {
  if (sizes.empty()) return {};
  if (sizes.size() > scale.cells) return one_for_the_largest(sizes, scale.cells);
  const auto count = static_cast<unsigned>(sizes.size());
  const unsigned least = std::clamp(scale.least, 1U, scale.cells / count);

  // Set pieces that would be too narrow to the least width, until no other becomes too narrow.
  std::vector<bool> narrow(count);
  unsigned left = scale.cells;
  for (bool changed = true; changed;) {
    changed = false;
    double wide = 0;
    for (unsigned i = 0; i < count; ++i) wide += narrow[i] ? 0 : static_cast<double>(sizes[i]);
    const double cells = left;
    for (unsigned i = 0; i < count; ++i) {
      if (narrow[i] || static_cast<double>(sizes[i]) * cells >= wide * least) continue;
      narrow[i] = changed = true;
      left -= least;
    }
  }
  std::vector<double> wide_sizes;
  for (unsigned i = 0; i < count; ++i) {
    if (!narrow[i]) wide_sizes.push_back(static_cast<double>(sizes[i]));
  }
  const std::vector<unsigned> wide_widths = in_proportion(wide_sizes, left);
  std::vector<unsigned> widths(count, least);
  for (unsigned i = 0, next = 0; i < count; ++i) {
    if (!narrow[i]) widths[i] = wide_widths[next++];
  }
  return widths;
}

unsigned heat(uint64_t accesses, uint64_t hottest) {
  if (accesses == 0) return 0;
  unsigned level = 1;
  for (const int part : {100, 10, 2}) {
    level += static_cast<double>(accesses) * part >= static_cast<double>(hottest) ? 1 : 0;
  }
  return level;
}

BarsPicture draw_bars(const DeviceBars& device, Scale scale) {
  BarsPicture picture{.title = device.device.str() + "  " + printable(device.name),
                      .counted = !device.plan};
  for (const std::string& note : device.notes) picture.notes.push_back(printable(note));
  const uint64_t hottest = hottest_of(device);
  for (const BarInspection& bar : device.bars) {
    BarRow row{.heading = heading(bar),
               .where = where(device, bar),
               .msix = msix_words(device, bar.index),
               .size = bar.size};
    for (const SpanInspection& span : bar.spans) {
      row.spans.push_back(
          {.span = span, .part = part_of(span), .heat = heat(accesses(span), hottest)});
    }
    lay_out(row, marks_in(device, bar.index), scale);
    picture.bars.push_back(std::move(row));
  }
  return picture;
}

}  // namespace passthru::tools
