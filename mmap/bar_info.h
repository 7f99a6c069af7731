// SPDX-License-Identifier: MIT
// How a BAR looks to the guest (`BarInfo`) and where the guest placed the BARs (`BarAddresses`):
// the two values that config space and Bars exchange. Index 0 to 5 is a BAR, index 6 the expansion
// ROM.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace passthru {

inline constexpr unsigned kBars = 7;
inline constexpr unsigned kRomBar = 6;

/// The properties of a BAR that a guest finds out by sizing it.
struct BarInfo {
  uint64_t size = 0;  ///< bytes, a power of two; 0: the BAR does not exist
  bool io = false;
  bool is_64bit = false;  ///< the next register is its upper half, not a separate BAR
  bool prefetchable = false;
  bool operator==(const BarInfo&) const = default;
};

using BarInfos = std::array<BarInfo, kBars>;

/// The guest address (a port for I/O BARs) of every BAR that the device decodes now.
using BarAddresses = std::array<std::optional<uint64_t>, kBars>;

}  // namespace passthru
