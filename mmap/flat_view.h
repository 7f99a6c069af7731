// SPDX-License-Identifier: MIT
// The flat view of overlapping ranges: the visible range at each address, and its whole pages that
// can be mapped. Pure. AddressSpace uses it for windows, bar_layout for the parts of a BAR.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mmap/guest_mapper.h"

namespace passthru {

/// `base + size` does not wrap.
struct FlatRange {
  uint64_t base = 0;
  uint64_t size = 0;
};

/// A visible part of a range. `owner` is the index of the range.
struct FlatSegment {
  uint64_t base = 0;
  uint64_t size = 0;
  size_t owner = 0;
  bool operator==(const FlatSegment&) const = default;
};

/// Returns the visible parts of ranges that may overlap, ascending and disjoint. If two ranges
/// overlap, the first in `ranges` is visible. Adjacent parts of one range are one segment. Ranges
/// of size 0 have no part. O(n log n).
std::vector<FlatSegment> flatten(std::span<const FlatRange> ranges);

/// Host memory that shows the bytes [base, base + size) around a range. It may reach beyond the
/// range's end. The bytes there belong to no range and may be shown only while no range covers
/// them.
struct FlatMemory {
  uint64_t base = 0;
  uint64_t size = 0;
  std::byte* memory = nullptr;
};

/// Appends the parts of `memory` that can be mapped where `segments[index]` is visible: whole pages
/// whose host memory is page aligned too. No other segment is in these pages. `limit` is the end of
/// the address space.
void append_mappable(std::span<const FlatSegment> segments, size_t index, uint64_t range_end,
                     const FlatMemory& memory, uint64_t page_size, uint64_t limit,
                     std::vector<GuestMapping>& out);

}  // namespace passthru
