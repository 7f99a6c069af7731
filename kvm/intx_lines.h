// SPDX-License-Identifier: MIT
// The levels of the interrupt lines that INTx pins share: a line is high while any pin on it is
// high. A pure value, not thread-safe; KvmHypervisor guards it.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <utility>
#include <vector>

#include "pci/bdf.h"

namespace passthru {

/// The new level of a line.
struct LineLevel {
  uint32_t line = 0;
  bool level = false;
  auto operator<=>(const LineLevel&) const = default;
};

class IntxLines {
 public:
  /// Sets the level of pin `pin` (0 = INTA#) of the device at `device`, which is wired to `line`
  /// now. A high pin stays on the line that it was wired to when it rose, until it falls or rises
  /// again. Returns the lines whose levels change.
  std::vector<LineLevel> set(uint32_t line, Bdf device, unsigned pin, bool level) {
    const Pin which{device, pin};
    std::vector<LineLevel> changes;
    const auto high = risen_.find(which);
    if (high != risen_.end() && (!level || high->second != line)) {
      auto& pins = high_[high->second];
      pins.erase(which);
      if (pins.empty()) changes.push_back({high->second, false});
      risen_.erase(high);
    }
    if (level && risen_.emplace(which, line).second) {
      auto& pins = high_[line];
      pins.insert(which);
      if (pins.size() == 1) changes.push_back({line, true});
    }
    return changes;
  }

 private:
  using Pin = std::pair<Bdf, unsigned>;
  std::map<Pin, uint32_t> risen_;           ///< the pins that are high, and on which line
  std::map<uint32_t, std::set<Pin>> high_;  ///< the same, by line
};

}  // namespace passthru
