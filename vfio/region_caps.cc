// SPDX-License-Identifier: MIT
// Every offset is checked against the size of the answer before it is used.
#include "vfio/region_caps.h"

#include <fmt/format.h>
#include <linux/vfio.h>

#include <cstddef>
#include <cstring>

namespace passthru {
namespace {

tl::unexpected<Error> malformed(std::string why) {
  return fail(EBADMSG, "VFIO_DEVICE_GET_REGION_INFO", std::move(why));
}

/// Returns a copy of the T at `offset`, if the bytes contain all of it.
template <class T>
std::optional<T> take(std::span<const std::byte> bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

Result<std::vector<MapArea>> take_areas(std::span<const std::byte> answer, uint64_t offset,
                                        uint64_t region_size) {
  using Cap = vfio_region_info_cap_sparse_mmap;
  const auto count = take<uint32_t>(answer, offset + offsetof(Cap, nr_areas));
  if (!count) return malformed("the sparse mmap capability is cut short");
  std::vector<MapArea> areas;
  uint64_t at = offset + sizeof(Cap);
  for (uint32_t i = 0; i < *count; ++i, at += sizeof(vfio_region_sparse_mmap_area)) {
    const auto area = take<vfio_region_sparse_mmap_area>(answer, at);
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
  // Capabilities do not overlap, so a longer chain than this has a loop.
  size_t left = answer.size() / sizeof(vfio_info_cap_header);
  for (uint32_t offset = first; offset != 0;) {
    if (left-- == 0) return malformed("the capability chain has a loop");
    const auto header = take<vfio_info_cap_header>(answer, offset);
    if (!header || offset < sizeof(vfio_region_info)) {
      return malformed(fmt::format("capability at {:#x} of {:#x} bytes", offset, answer.size()));
    }
    if (header->id == VFIO_REGION_INFO_CAP_MSIX_MAPPABLE) caps.msix_mappable = true;
    if (header->id == VFIO_REGION_INFO_CAP_SPARSE_MMAP) {
      caps.sparse = PASSTHRU_TRY(take_areas(answer, offset, region_size));
    }
    offset = header->next;
  }
  return caps;
}

}  // namespace passthru
