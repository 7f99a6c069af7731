// SPDX-License-Identifier: MIT
// Owns the decision which parts of a BAR a guest may reach directly: a pure function from what the
// kernel says of the region and what must stay trapped to an ordered list of spans.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "vfio/kernel.h"

namespace passthru {

/// Mapped, or why not.
enum class SpanKind {
  Mapped,
  MsixTable,    ///< the page of the MSI-X table
  MsixPba,      ///< the page of the pending bits
  Excluded,     ///< the user does not want it mapped
  IoPorts,      ///< ports cannot be mapped
  Rom,          ///< the expansion ROM is read through the kernel
  NotOffered,   ///< the kernel maps nothing of this region
  OutsideArea,  ///< the kernel maps other parts of this region, not this one
  PartialPage,  ///< not a whole page of what the kernel maps
  BeyondEnd,    ///< the BAR claims it, nothing is behind it
  Refused,      ///< the kernel offered it and failed to map it
  Unknown,      ///< reported by a VMM of another version
};

/// "mapped", "msix_table", "io_ports", ...: scripts rely on these.
const char* to_string(SpanKind kind);
/// Returns the reason as a sentence for people, or an empty text for Mapped.
const char* trap_reason(SpanKind kind);

/// A part of a BAR. `area` is what to map into this process to get at it: the kernel's sparse areas
/// may only be mapped exactly as given, and then hold more than the span.
struct BarSpan {
  uint64_t offset = 0;
  uint64_t size = 0;
  SpanKind kind = SpanKind::NotOffered;
  MapArea area{};  ///< where Mapped
  [[nodiscard]] bool mapped() const { return kind == SpanKind::Mapped; }
  bool operator==(const BarSpan&) const = default;
};

/// Bytes of a BAR that must stay trapped, and with them every page they touch.
struct TrappedRange {
  uint64_t offset = 0;
  uint64_t size = 0;
  SpanKind kind = SpanKind::MsixTable;
  bool operator==(const TrappedRange&) const = default;
};

struct BarLayoutInput {
  uint64_t size = 0;    ///< of the BAR as the guest sees it
  RegionInfo region{};  ///< may be smaller, or nothing at all
  uint64_t page_size = 4096;
  std::span<const TrappedRange>
      trapped{};  ///< within the BAR; where two share a page, the first names it
  SpanKind forbidden =
      SpanKind::Mapped;  ///< else: why none of it may be mapped (Excluded, IoPorts, Rom)
};

/// Spans that cover [0, size) without gaps, ascending. Mapped ones are whole pages, with one
/// exception: a BAR smaller than a page that the kernel offers to map is one span of its size; the
/// kernel promises then that nothing else is in its page.
std::vector<BarSpan> layout_bar(const BarLayoutInput& input);

}  // namespace passthru
