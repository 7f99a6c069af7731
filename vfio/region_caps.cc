// SPDX-License-Identifier: MIT
// Every offset is checked against the size of the answer before it is used.
#include "vfio/region_caps.h"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <cstddef>
#include <utility>

#include "vfio/capability_chain.h"

namespace passthru {
namespace {

constexpr const char* kRegionInfo = "VFIO_DEVICE_GET_REGION_INFO";

tl::unexpected<Error> malformed(std::string why) {
  return fail(EBADMSG, kRegionInfo, std::move(why));
}

Result<std::vector<MapArea>> take_areas(std::span<const std::byte> answer, uint64_t offset,
                                        uint64_t region_size) {
  using Cap = vfio_region_info_cap_sparse_mmap;
  const auto count = value_at<uint32_t>(answer, offset + offsetof(Cap, nr_areas));
  if (!count) return malformed("the sparse mmap capability is cut short");
  std::vector<MapArea> areas;
  uint64_t at = offset + sizeof(Cap);
  for (uint32_t i = 0; i < *count; ++i, at += sizeof(vfio_region_sparse_mmap_area)) {
    const auto area = value_at<vfio_region_sparse_mmap_area>(answer, at);
    if (!area) return malformed(fmt::format("{} sparse areas do not fit", *count));
    if (area->offset > region_size || area->size > region_size - area->offset) {
      return malformed(fmt::format("sparse area {} lies outside of the region", i));
    }
    if (area->size != 0) areas.push_back({area->offset, area->size});
  }
  return areas;
}

}  // namespace

Result<RegionCaps> parse_region_caps(std::span<const std::byte> answer, uint32_t first,
                                     uint64_t region_size) {
  RegionCaps caps;
  const auto chain =
      PASSTHRU_TRY(capability_chain(answer, sizeof(vfio_region_info), first, kRegionInfo));
  for (const InfoCapability& each : chain) {
    if (each.id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE) caps.msix_mappable = true;
    if (each.id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
      caps.sparse = PASSTHRU_TRY(take_areas(answer, each.offset, region_size));
    }
  }
  return caps;
}

}  // namespace passthru
