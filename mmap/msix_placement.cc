// SPDX-License-Identifier: MIT
#include "mmap/msix_placement.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cerrno>

namespace passthru {
namespace {

constexpr uint64_t kMaxLowBar = uint64_t{1} << 31;
constexpr uint64_t kFarthestTable = uint64_t{1} << 31;  // the capability has 32 bits for it

/// Returns the pages that a part of a BAR touches, cut off at the end of the BAR.
BarRange pages_of(const BarRange& range, const BarInfos& shapes, uint64_t page) {
  const uint64_t begin = range.offset - range.offset % page;
  const uint64_t end = range.offset + range.size;
  const uint64_t rest = (page - end % page) % page;
  return {range.bar, begin, std::min(end + rest, shapes[range.bar].size) - begin};
}

/// Returns whether the pages of table and pending bits also hold other bytes. Those may be
/// registers.
bool shares_its_pages(const BarInfos& shapes, const MsixLayout& msix, uint64_t page) {
  const BarRange table =
      pages_of({msix.table_bar, msix.table_offset, msix.table_size()}, shapes, page);
  if (!msix.has_pba) return table.size > msix.table_size();
  const BarRange pba = pages_of({msix.pba_bar, msix.pba_offset, msix.pba_size()}, shapes, page);
  uint64_t bytes = table.size + pba.size;
  if (table.bar == pba.bar) {
    const uint64_t begin = std::max(table.offset, pba.offset);
    const uint64_t end = std::min(table.offset + table.size, pba.offset + pba.size);
    if (begin < end) bytes -= end - begin;
  }
  return bytes > msix.table_size() + msix.pba_size();
}

bool is_upper_half(const BarInfos& shapes, unsigned bar) {
  return bar > 0 && shapes[bar - 1].size != 0 && shapes[bar - 1].is_64bit;
}

/// Returns why the table cannot go there, or null if it can.
const char* obstacle(const BarInfos& shapes, unsigned bar) {
  if (bar >= kRomBar) return "a function has BARs 0 to 5";
  if (is_upper_half(shapes, bar)) return "this register is the upper half of the BAR before it";
  return shapes[bar].io ? "this BAR is an I/O BAR" : nullptr;
}

/// Returns the offset in the BAR where the table would begin.
uint64_t start_in(const BarInfo& shape, uint64_t page) {
  return shape.size == 0 ? 0 : std::max(shape.size, page);
}

/// Returns the BAR with room for `needed` more bytes, or nothing if it would be too large.
std::optional<BarInfo> enlarged(BarInfo shape, uint64_t needed, uint64_t page) {
  const uint64_t start = start_in(shape, page);
  if (start > (shape.is_64bit ? kFarthestTable : kMaxLowBar / 2)) return std::nullopt;
  shape.size = std::max(page, std::bit_ceil(start + needed));
  return shape;
}

std::optional<unsigned> best_bar(const BarInfos& shapes, uint64_t needed, uint64_t page) {
  std::optional<unsigned> best;
  for (unsigned bar = 0; bar < kRomBar; ++bar) {
    if (obstacle(shapes, bar) != nullptr || !enlarged(shapes[bar], needed, page)) continue;
    if (!best || shapes[bar].size < shapes[*best].size) best = bar;
  }
  return best;
}

std::string advice(const BarInfos& shapes, uint64_t needed, uint64_t page) {
  std::string bars;
  for (unsigned bar = 0; bar < kRomBar; ++bar) {
    if (obstacle(shapes, bar) == nullptr && enlarged(shapes[bar], needed, page))
      bars += fmt::format("bar{}, ", bar);
  }
  return fmt::format("Choose one of {}auto or inplace", bars);
}

bool overlap(const MsixLayout& msix) {
  return msix.table_bar == msix.pba_bar && msix.table_offset < msix.pba_offset + msix.pba_size() &&
         msix.pba_offset < msix.table_offset + msix.table_size();
}

/// Returns the physical table from `begin` bytes on, if that is not empty.
std::optional<BarRange> rest_of_table(const MsixLayout& msix, uint64_t begin) {
  if (begin == msix.table_size()) return std::nullopt;
  return BarRange{msix.table_bar, msix.table_offset + begin, msix.table_size() - begin};
}

/// Gives the guest's pending bits a place of their own. The table stays.
Result<MsixPlacement> with_pending_bits(MsixPlacement placement, uint64_t page) {
  MsixLayout& layout = placement.layout;
  const auto bar = best_bar(placement.shapes, layout.pba_size(), page);
  if (!bar) return fail(ENOSPC, "place the MSI-X pending bits", "no BAR has room for them");
  BarInfo& shape = placement.shapes[*bar];
  layout.pba_bar = *bar;
  layout.pba_offset = start_in(shape, page);
  layout.has_pba = true;
  shape = enlarged(shape, layout.pba_size(), page).value_or(shape);
  return placement;
}

}  // namespace

std::optional<MsixLayout> usable_msix(const BarInfos& shapes, const RegionSizes& sizes,
                                      MsixLayout announced, uint64_t page_size) {
  const auto within = [&](unsigned bar, uint64_t at, uint64_t size) {
    return bar < kRomBar && shapes[bar].size != 0 && !shapes[bar].io && size <= sizes[bar] &&
           at <= sizes[bar] - size;
  };
  if (overlap(announced) ||
      !within(announced.table_bar, announced.table_offset, announced.table_size())) {
    return std::nullopt;
  }
  announced.has_pba = within(announced.pba_bar, announced.pba_offset, announced.pba_size());
  if (!announced.has_pba && !place_msix(shapes, announced, page_size, {})) return std::nullopt;
  return announced;
}

Result<MsixPlacement> place_msix(const BarInfos& shapes, const MsixLayout& physical,
                                 uint64_t page_size, const MsixChoice& choice,
                                 unsigned max_vectors) {
  MsixPlacement placement{.shapes = shapes, .layout = physical};
  placement.layout.vectors = std::min(physical.vectors, max_vectors);
  const uint64_t table_size = placement.layout.table_size();
  const uint64_t needed = table_size + placement.layout.pba_size();
  placement.hidden = rest_of_table(physical, table_size);
  const auto in_place = [&]() -> Result<MsixPlacement> {
    if (physical.has_pba) return placement;
    return with_pending_bits(placement, page_size);
  };
  unsigned bar = choice.bar;
  switch (choice.kind) {
    case MsixChoice::Kind::InPlace:
      return in_place();
    case MsixChoice::Kind::Auto: {
      const auto best = best_bar(shapes, needed, page_size);
      if (!best || !shares_its_pages(shapes, physical, page_size)) return in_place();
      bar = *best;
      break;
    }
    case MsixChoice::Kind::Bar:
      break;
  }
  const auto refuse = [&](int code, const char* cause) {
    return tl::unexpected(
        Error{.code = code, .operation = fmt::format("put the MSI-X table into BAR {}", bar)}
            .because(cause)
            .advise(advice(shapes, needed, page_size)));
  };
  if (const char* cause = obstacle(shapes, bar)) return refuse(EINVAL, cause);
  const auto shape = enlarged(shapes[bar], needed, page_size);
  if (!shape)
    return refuse(ENOSPC,
                  "a 64-bit BAR above 2 GiB or a 32-bit BAR above 1 GiB has no room for it");

  // The table's size is a multiple of 16, so that the pending bits are aligned behind it.
  placement.layout.table_bar = placement.layout.pba_bar = bar;
  placement.layout.table_offset = start_in(shapes[bar], page_size);
  placement.layout.pba_offset = placement.layout.table_offset + table_size;
  placement.layout.has_pba = true;
  placement.shapes[bar] = *shape;
  placement.hidden = rest_of_table(physical, 0);
  return placement;
}

}  // namespace passthru
