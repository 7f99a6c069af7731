// SPDX-License-Identifier: MIT
// The decision which parts of a BAR a guest may reach directly: a pure function from the kernel's
// description of the region, and the ranges that must stay trapped, to an ordered list of spans.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "vfio/kernel.h"

namespace passthru {

/// Whether a span is mapped, and why not.
enum class SpanKind {
  Mapped,
  MsixTable,    ///< the page of the MSI-X table
  MsixPba,      ///< the page of the pending bits
  Excluded,     ///< the user does not want it mapped
  IoPorts,      ///< ports cannot be mapped
  Rom,          ///< the expansion ROM is read through the kernel
  NotOffered,   ///< the kernel maps nothing of this region
  OutsideArea,  ///< the kernel maps other parts of this region, not this one
  PartialPage,  ///< less than a page of an area that the kernel maps
  BeyondEnd,    ///< the BAR covers it, but the region ends before it
  Refused,      ///< the kernel offered it and failed to map it
  Unknown,      ///< reported by a VMM of another version
};

/// "mapped", "msix_table", "io_ports", ...: scripts rely on these.
const char* to_string(SpanKind kind);
/// Returns the reason as a sentence for people, or an empty text for Mapped.
const char* trap_reason(SpanKind kind);
/// Returns the same, with the errno of the mapping or access that the kernel refused; 0: none.
std::string trap_reason(SpanKind kind, int error);

/// A part of a BAR. `area` is the range to map into this process to reach the span. The kernel's
/// sparse areas may only be mapped exactly as given, so an area may be larger than its span.
struct BarSpan {
  uint64_t offset = 0;
  uint64_t size = 0;
  SpanKind kind = SpanKind::NotOffered;
  MapArea area{};  ///< only if Mapped
  [[nodiscard]] bool mapped() const { return kind == SpanKind::Mapped; }
  bool operator==(const BarSpan&) const = default;
};

/// A part of a BAR, and how to reach it if it is mapped. For a VMM that maps it itself.
struct BarSpanMemory {
  uint64_t offset = 0;
  uint64_t size = 0;
  SpanKind kind = SpanKind::NotOffered;
  std::byte* memory = nullptr;  ///< in this process; null: not mapped
  int fd = -1;                  ///< the device's descriptor, which stays the library's
  uint64_t fd_offset = 0;       ///< of the part in `fd`, for mmap
  bool operator==(const BarSpanMemory&) const = default;
};

/// A range of a BAR that must stay trapped. Every page that it touches stays trapped too.
struct TrappedRange {
  uint64_t offset = 0;
  uint64_t size = 0;
  SpanKind kind = SpanKind::MsixTable;
  bool operator==(const TrappedRange&) const = default;
};

struct BarLayoutInput {
  uint64_t size = 0;    ///< of the BAR as the guest sees it
  RegionInfo region{};  ///< may be smaller than the BAR, or empty
  uint64_t page_size = 4096;
  std::span<const TrappedRange>
      trapped{};  ///< within the BAR; if two share a page, the first names it
  SpanKind forbidden = SpanKind::Mapped;  ///< or why nothing may be mapped (Excluded, IoPorts, Rom)
};

/// Returns spans that cover [0, size) without gaps, in ascending order. Mapped spans are whole
/// pages, with one exception: a BAR smaller than a page that the kernel offers to map is one span
/// of its size. The kernel then guarantees that nothing else is in its page.
std::vector<BarSpan> layout_bar(const BarLayoutInput& input);

}  // namespace passthru
