// SPDX-License-Identifier: MIT
// Owns the arithmetic of overlapping ranges: which one is visible where, and which whole pages of
// it can be mapped. Pure; AddressSpace uses it for windows and bar_layout for the parts of a BAR.
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

/// A visible part: `owner` is the index of the range it belongs to.
struct FlatSegment {
  uint64_t base = 0;
  uint64_t size = 0;
  size_t owner = 0;
  bool operator==(const FlatSegment&) const = default;
};

/// The visible parts of ranges that may overlap, ascending and disjoint: where two overlap, the one
/// that comes first in `ranges` is visible. Neighbouring parts of one range are one segment. Ranges
/// of size 0 have no part. O(n log n).
std::vector<FlatSegment> flatten(std::span<const FlatRange> ranges);

/// Host memory that shows the bytes [base, base + size) of a range's surroundings. It may reach
/// beyond the range's end: such bytes belong to nobody and may be shown only while nobody else is
/// there.
struct FlatMemory {
  uint64_t base = 0;
  uint64_t size = 0;
  std::byte* memory = nullptr;
};

/// Appends what of `memory` can be mapped where `segments[index]` is visible: whole pages whose
/// host memory is page aligned too. Nothing else of `segments` is in such a page. `limit`: end of
/// the address space.
void append_mappable(std::span<const FlatSegment> segments, size_t index, uint64_t range_end,
                     const FlatMemory& memory, uint64_t page_size, uint64_t limit,
                     std::vector<GuestMapping>& out);

}  // namespace passthru
