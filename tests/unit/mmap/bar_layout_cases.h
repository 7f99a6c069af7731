// SPDX-License-Identifier: MIT
// Short functions for the tests of BAR layouts: regions, spans, and a case.
#pragma once

#include <gtest/gtest.h>

#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "mmap/bar_layout.h"

namespace passthru {

inline void PrintTo(const BarSpan& span, std::ostream* out) {
  *out << std::hex << "[" << span.offset << "+" << span.size << " " << to_string(span.kind)
       << " area " << span.area.offset << "+" << span.area.size << "]";
}

using Span = SpanKind;

inline constexpr uint64_t k4K = 0x1000;
inline constexpr uint64_t k16K = 0x4000;
inline constexpr uint64_t k64K = 0x10000;

/// A span with its own mapping.
inline BarSpan mapped(uint64_t offset, uint64_t size) {
  return {offset, size, Span::Mapped, {offset, size}};
}
inline BarSpan trapped(uint64_t offset, uint64_t size, SpanKind kind) {
  return {offset, size, kind, {}};
}

inline RegionInfo mappable(uint64_t size, std::vector<MapArea> sparse = {}) {
  RegionInfo info;
  info.size = size;
  info.readable = info.writable = info.mappable = true;
  info.sparse = std::move(sparse);
  return info;
}

inline RegionInfo unmappable(uint64_t size) {
  RegionInfo info = mappable(size);
  info.mappable = false;
  return info;
}

/// VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: the kernel lets us map the table.
inline RegionInfo table_mappable(uint64_t size) {
  RegionInfo info = mappable(size);
  info.msix_mappable = true;
  return info;
}

struct BarLayoutCase {
  std::string name;
  uint64_t size;
  RegionInfo region;
  std::vector<TrappedRange> ranges;
  std::vector<BarSpan> spans;
  uint64_t page_size = k4K;
  SpanKind forbidden = Span::Mapped;
};

class BarLayout : public testing::TestWithParam<BarLayoutCase> {};

inline const TrappedRange kTable{0x2000, 65 * 16, Span::MsixTable};
inline const TrappedRange kPba{0x3000, 16, Span::MsixPba};

}  // namespace passthru
