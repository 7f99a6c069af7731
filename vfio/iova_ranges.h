// SPDX-License-Identifier: MIT
// Ranges of IOVAs that devices can use: parsed from a container's answer without trusting it, and
// the ranges that two address spaces have in common. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "vfio/kernel.h"

namespace passthru {

/// Parses an answer that starts with struct vfio_iommu_type1_info. `first` is its cap_offset.
///
/// Errors:
/// - EBADMSG: a capability lies outside the answer or is cut short, the chain does not end, or the
///   ranges are not ascending.
/// - ENOTSUP: the answer has no ranges.
Result<std::vector<IovaRange>> parse_iova_ranges(std::span<const std::byte> answer, uint32_t first);

/// Returns whether the ranges are ascending, and no two of them have an address in common.
bool ascending(std::span<const IovaRange> ranges);

/// Returns the addresses that are in both lists of ascending ranges.
std::vector<IovaRange> intersection(std::span<const IovaRange> a, std::span<const IovaRange> b);

/// Returns the first range between the `usable` ranges, before or behind them that `wanted` meets:
/// all of that range, up to 2^64 - 1 behind the last. Empty if all of `wanted` is usable.
std::optional<IovaRange> gap_met(std::span<const IovaRange> usable, const IovaRange& wanted);

}  // namespace passthru
