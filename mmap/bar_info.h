// SPDX-License-Identifier: MIT
// Owns how a BAR looks to the guest (`BarInfo`) and where its BARs are (`BarAddresses`): the two
// values that config space and bars exchange. Index 0 to 5 is a BAR, 6 the expansion ROM.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace passthru {

inline constexpr unsigned kBars = 7;
inline constexpr unsigned kRomBar = 6;

/// What a guest finds out by sizing a BAR.
struct BarInfo {
  uint64_t size = 0;  ///< bytes, a power of two; 0: there is no such BAR
  bool io = false;
  bool is_64bit = false;  ///< its upper half is the register after it, which is no BAR of its own
  bool prefetchable = false;
  bool operator==(const BarInfo&) const = default;
};

using BarInfos = std::array<BarInfo, kBars>;

/// The guest address (port for I/O BARs) of every BAR that the device decodes now.
using BarAddresses = std::array<std::optional<uint64_t>, kBars>;

}  // namespace passthru
