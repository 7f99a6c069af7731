// SPDX-License-Identifier: MIT
// Owns the level of the interrupt lines that INTx pins share: a line is high while any pin on it
// is. A pure value, not thread-safe; KvmHost guards it.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "vfio/bdf.h"

namespace passthru {

class IntxLines {
 public:
  /// Sets the level of pin `pin` (0 = INTA#) of the device at `device`, which is wired to `line`.
  /// Returns the line's new level where that changed.
  std::optional<bool> set(uint32_t line, Bdf device, unsigned pin, bool level) {
    auto& pins = high_[line];
    const bool before = !pins.empty();
    if (level) {
      pins.emplace(device, pin);
    } else {
      pins.erase({device, pin});
    }
    if (before == !pins.empty()) return std::nullopt;
    return !pins.empty();
  }

 private:
  std::map<uint32_t, std::set<std::pair<Bdf, unsigned>>>
      high_;  ///< the pins that are high, by line
};

}  // namespace passthru
