// SPDX-License-Identifier: MIT
#include "mmap/flat_view.h"

#include <algorithm>
#include <optional>
#include <set>
#include <utility>

namespace passthru {
namespace {

/// An address where a range begins or ends.
struct Edge {
  uint64_t at;
  size_t range;
  bool begins;
};

std::vector<Edge> edges(std::span<const FlatRange> ranges) {
  std::vector<Edge> all;
  all.reserve(ranges.size() * 2);
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].size == 0) continue;
    all.push_back({ranges[i].base, i, true});
    all.push_back({ranges[i].base + ranges[i].size, i, false});
  }
  std::sort(all.begin(), all.end(), [](const Edge& a, const Edge& b) { return a.at < b.at; });
  return all;
}

/// Returns the ranges in ascending order if no two of them overlap. This is nearly always so, and
/// this check is much cheaper than a sweep.
std::optional<std::vector<FlatSegment>> disjoint(std::span<const FlatRange> ranges) {
  std::vector<FlatSegment> segments;
  segments.reserve(ranges.size());
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].size != 0) segments.push_back({ranges[i].base, ranges[i].size, i});
  }
  const auto ascending = [](const FlatSegment& a, const FlatSegment& b) { return a.base < b.base; };
  if (!std::is_sorted(segments.begin(), segments.end(), ascending)) {
    std::sort(segments.begin(), segments.end(), ascending);
  }
  const auto overlap = [](const FlatSegment& a, const FlatSegment& b) {
    return b.base - a.base < a.size;
  };
  if (std::adjacent_find(segments.begin(), segments.end(), overlap) != segments.end()) return {};
  return segments;
}

}  // namespace

std::vector<FlatSegment> flatten(std::span<const FlatRange> ranges) {
  if (auto segments = disjoint(ranges)) return *std::move(segments);
  const std::vector<Edge> all = edges(ranges);
  std::vector<FlatSegment> segments;
  std::set<size_t> present;  // the ranges that cover the addresses between this edge and the next
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i].begins) {
      present.insert(all[i].range);
    } else {
      present.erase(all[i].range);
    }
    if (present.empty() || all[i + 1].at == all[i].at) continue;
    const size_t owner = *present.begin();
    const uint64_t size = all[i + 1].at - all[i].at;
    if (!segments.empty() && segments.back().owner == owner &&
        segments.back().base + segments.back().size == all[i].at) {
      segments.back().size += size;
    } else {
      segments.push_back({all[i].at, size, owner});
    }
  }
  return segments;
}

void append_mappable(std::span<const FlatSegment> segments, size_t index, uint64_t range_end,
                     const FlatMemory& memory, uint64_t page_size, uint64_t limit,
                     std::vector<GuestMapping>& out) {
  const FlatSegment& segment = segments[index];
  uint64_t begin = std::max(segment.base, memory.base);
  uint64_t end = segment.base + segment.size;
  const uint64_t memory_end = memory.base + memory.size;
  if (end == range_end) {
    // The rest of the range's last page is free, up to the next segment.
    const uint64_t rest = (page_size - end % page_size) % page_size;
    const uint64_t next = index + 1 < segments.size() ? segments[index + 1].base : limit;
    end += std::min(rest, next - end);
  }
  end = std::min(end, memory_end);
  if (begin >= end) return;

  const uint64_t head = (page_size - begin % page_size) % page_size;
  const uint64_t tail = end % page_size;
  if (end - begin <= head + tail) return;
  begin += head;
  end -= tail;
  std::byte* const host = memory.memory + (begin - memory.base);
  if (reinterpret_cast<uintptr_t>(host) % page_size != 0) return;

  if (!out.empty() && out.back().address + out.back().size == begin &&
      out.back().memory + out.back().size == host) {
    out.back().size += end - begin;
  } else {
    out.push_back({begin, end - begin, host});
  }
}

}  // namespace passthru
