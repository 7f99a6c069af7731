// SPDX-License-Identifier: MIT
#include "mmap/bar_layout.h"

#include <algorithm>
#include <system_error>

#include "mmap/flat_view.h"

namespace passthru {
namespace {

/// A claim on a part of the BAR. If several claims cover a byte, the first counts.
struct Claim {
  FlatRange range;
  SpanKind kind;
  MapArea area{};  ///< the kernel's area, mapped as it is; empty: map the span itself
};

uint64_t round_down(uint64_t value, uint64_t page) {
  return value - value % page;
}

/// Returns the whole pages that `trapped` touches. A page that holds a part of a table is trapped
/// as a whole.
FlatRange hole(const TrappedRange& trapped, const BarLayoutInput& input) {
  const uint64_t begin = round_down(trapped.offset, input.page_size);
  const uint64_t end = trapped.offset + trapped.size;
  const uint64_t rest = (input.page_size - end % input.page_size) % input.page_size;
  return {begin, std::min(end + rest, input.size) - begin};
}

void claim_area(const MapArea& area, bool exact, const BarLayoutInput& input,
                std::vector<Claim>& claims) {
  const uint64_t region_end = std::min(input.region.size, input.size);
  if (area.offset >= region_end) return;
  const uint64_t size = std::min(area.size, region_end - area.offset);
  const bool alone_in_its_page =
      area.offset == 0 && size == input.size && size == input.region.size && size < input.page_size;
  uint64_t mapped = round_down(area.offset + size, input.page_size) - area.offset;
  if (alone_in_its_page) {
    mapped = size;
  } else if (area.offset % input.page_size != 0 || size < input.page_size) {
    mapped = 0;
  }
  claims.push_back({{area.offset, mapped}, SpanKind::Mapped, exact ? area : MapArea{}});
  claims.push_back({{area.offset, size}, SpanKind::PartialPage});
}

std::vector<Claim> claims_on(const BarLayoutInput& input) {
  std::vector<Claim> claims;
  for (const TrappedRange& trapped : input.trapped)
    claims.push_back({hole(trapped, input), trapped.kind});
  if (input.forbidden != SpanKind::Mapped) {
    claims.push_back({{0, input.size}, input.forbidden});
    return claims;
  }
  if (input.region.size < input.size) {
    claims.push_back({{input.region.size, input.size - input.region.size}, SpanKind::BeyondEnd});
  }
  if (!input.region.mappable) {
    claims.push_back({{0, input.size}, SpanKind::NotOffered});
    return claims;
  }
  if (input.region.sparse.empty()) claim_area({0, input.region.size}, false, input, claims);
  for (const MapArea& area : input.region.sparse) claim_area(area, true, input, claims);
  claims.push_back({{0, input.size}, SpanKind::OutsideArea});
  return claims;
}

}  // namespace

const char* to_string(SpanKind kind) {
  switch (kind) {
    case SpanKind::Mapped:
      return "mapped";
    case SpanKind::MsixTable:
      return "msix_table";
    case SpanKind::MsixPba:
      return "msix_pba";
    case SpanKind::Excluded:
      return "excluded";
    case SpanKind::IoPorts:
      return "io_ports";
    case SpanKind::Rom:
      return "rom";
    case SpanKind::NotOffered:
      return "not_offered";
    case SpanKind::OutsideArea:
      return "outside_area";
    case SpanKind::PartialPage:
      return "partial_page";
    case SpanKind::BeyondEnd:
      return "beyond_end";
    case SpanKind::Refused:
      return "refused";
    case SpanKind::Unknown:
      return "unknown";
  }
  return "unknown";
}

const char* trap_reason(SpanKind kind) {
  switch (kind) {
    case SpanKind::Mapped:
      return "";
    case SpanKind::MsixTable:
      return "page of the MSI-X table";
    case SpanKind::MsixPba:
      return "page of the MSI-X pending bits";
    case SpanKind::Excluded:
      return "the user excluded this BAR from mapping";
    case SpanKind::IoPorts:
      return "I/O ports cannot be mapped";
    case SpanKind::Rom:
      return "the expansion ROM is read through the kernel";
    case SpanKind::NotOffered:
      return "the kernel does not map it: it may share its page with another device";
    case SpanKind::OutsideArea:
      return "the kernel maps other parts of this BAR only";
    case SpanKind::PartialPage:
      return "less than a page";
    case SpanKind::BeyondEnd:
      return "nothing is behind this part of the BAR";
    case SpanKind::Refused:
      return "the kernel refused to map it";
    case SpanKind::Unknown:
      return "the VMM gives no reason that this version knows";
  }
  return "";
}

std::string trap_reason(SpanKind kind, int error) {
  std::string reason = trap_reason(kind);
  if (error == 0) return reason;
  reason += kind == SpanKind::Refused ? ": " : "; the kernel refuses accesses: ";
  return reason + std::generic_category().message(error);
}

std::vector<BarSpan> layout_bar(const BarLayoutInput& input) {
  const std::vector<Claim> claims = claims_on(input);
  std::vector<FlatRange> ranges;
  ranges.reserve(claims.size());
  for (const Claim& claim : claims) ranges.push_back(claim.range);

  std::vector<BarSpan> spans;
  for (const FlatSegment& segment : flatten(ranges)) {
    const Claim& claim = claims[segment.owner];
    BarSpan span{segment.base, segment.size, claim.kind, {}};
    if (span.mapped()) {
      span.area = claim.area.size != 0 ? claim.area : MapArea{span.offset, span.size};
    } else if (!spans.empty() && spans.back().kind == span.kind) {
      spans.back().size += span.size;
      continue;
    }
    spans.push_back(span);
  }
  return spans;
}

}  // namespace passthru
