// SPDX-License-Identifier: MIT
// The capability chain of a region (linux/vfio.h, struct vfio_info_cap_header), parsed from the
// kernel's answer without trusting it. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "vfio/kernel.h"

namespace passthru {

/// The capabilities that Passthru uses.
struct RegionCaps {
  bool msix_mappable = false;
  /// If present: the only ranges that may be mapped, all within the region. Empty: no range.
  std::optional<std::vector<MapArea>> sparse{};
};

/// Parses an answer that starts with struct vfio_region_info. `first` is its cap_offset,
/// `region_size` its size.
///
/// Errors:
/// - EBADMSG: a capability lies outside the answer or is cut short, the chain does not end, or a
///   sparse area lies outside the region.
Result<RegionCaps> parse_region_caps(std::span<const std::byte> answer, uint32_t first,
                                     uint64_t region_size);

}  // namespace passthru
