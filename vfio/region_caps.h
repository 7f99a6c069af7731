// SPDX-License-Identifier: MIT
// Owns the reading of a region's capability chain (linux/vfio.h, struct vfio_info_cap_header):
// pure, over the bytes of the kernel's answer, believing none of them. Only LinuxKernel calls it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "vfio/kernel.h"

namespace passthru {

/// The capabilities that Passthru acts on; others are passed over.
struct RegionCaps {
  bool msix_mappable = false;
  /// Where present: the only ranges that may be mapped, none if empty. Never beyond the region.
  std::optional<std::vector<MapArea>> sparse{};
};

/// `answer` starts with struct vfio_region_info; `first` is its cap_offset, `region_size` its size.
/// EBADMSG: a capability lies outside of the answer, is cut short, or the chain does not end; a
/// sparse area lies outside of the region.
Result<RegionCaps> parse_region_caps(std::span<const std::byte> answer, uint32_t first,
                                     uint64_t region_size);

}  // namespace passthru
