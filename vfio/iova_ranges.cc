// SPDX-License-Identifier: MIT
// Every offset is checked against the size of the answer before it is used.
#include "vfio/iova_ranges.h"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <algorithm>
#include <cstddef>
#include <utility>

#include "vfio/capability_chain.h"

namespace passthru {
namespace {

constexpr const char* kIommuInfo = "VFIO_IOMMU_GET_INFO";

tl::unexpected<Error> malformed_info(std::string why) {
  return fail(EBADMSG, kIommuInfo, std::move(why));
}

Result<std::vector<IovaRange>> ranges_at(std::span<const std::byte> answer, uint64_t offset) {
  using Cap = vfio_iommu_type1_info_cap_iova_range;
  const auto count = value_at<uint32_t>(answer, offset + offsetof(Cap, nr_iovas));
  if (!count) return malformed_info("the IOVA range capability is cut short");
  std::vector<IovaRange> ranges;
  uint64_t at = offset + sizeof(Cap);
  for (uint32_t i = 0; i < *count; ++i, at += sizeof(vfio_iova_range)) {
    const auto range = value_at<vfio_iova_range>(answer, at);
    if (!range) return malformed_info(fmt::format("{} IOVA ranges do not fit", *count));
    ranges.push_back({range->start, range->end});
  }
  if (!ascending(ranges)) return malformed_info("the IOVA ranges are not ascending");
  return ranges;
}

}  // namespace

Result<std::vector<IovaRange>> parse_iova_ranges(std::span<const std::byte> answer,
                                                 uint32_t first) {
  const auto chain =
      PASSTHRU_TRY(capability_chain(answer, sizeof(vfio_iommu_type1_info), first, kIommuInfo));
  for (const InfoCapability& each : chain) {
    if (each.id == VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) return ranges_at(answer, each.offset);
  }
  return fail(ENOTSUP, kIommuInfo, "the kernel reports no IOVA ranges");
}

bool ascending(std::span<const IovaRange> ranges) {
  uint64_t free = 0;  // where the next range may begin
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].first < free || ranges[i].last < ranges[i].first) return false;
    if (ranges[i].last == UINT64_MAX) return i + 1 == ranges.size();
    free = ranges[i].last + 1;
  }
  return true;
}

std::vector<IovaRange> intersection(std::span<const IovaRange> a, std::span<const IovaRange> b) {
  std::vector<IovaRange> common;
  while (!a.empty() && !b.empty()) {
    const IovaRange both{std::max(a.front().first, b.front().first),
                         std::min(a.front().last, b.front().last)};
    if (both.first <= both.last) common.push_back(both);
    auto& ended = a.front().last < b.front().last ? a : b;
    ended = ended.subspan(1);
  }
  return common;
}

std::optional<IovaRange> gap_met(std::span<const IovaRange> usable, const IovaRange& wanted) {
  uint64_t begin = 0;  // of the gap before the next usable range
  for (const IovaRange& range : usable) {
    if (wanted.first < range.first) {
      if (range.first > begin && wanted.last >= begin) return IovaRange{begin, range.first - 1};
    }
    if (range.last == UINT64_MAX || wanted.last <= range.last) return std::nullopt;
    begin = range.last + 1;
  }
  return IovaRange{begin, UINT64_MAX};
}

}  // namespace passthru
