// SPDX-License-Identifier: MIT
// Owns the address of a PCI function, "0000:00:02.0": parsing, printing, order. A pure value for
// every room.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace passthru {

/// Segment, bus, device and function of a PCI function.
struct Bdf {
  uint16_t segment = 0;
  uint8_t bus = 0;
  uint8_t device = 0;    ///< 0 to 31
  uint8_t function = 0;  ///< 0 to 7

  /// Reads "SSSS:BB:DD.F" or "BB:DD.F" (segment 0), hexadecimal.
  /// EINVAL for anything else, saying what a BDF looks like.
  static Result<Bdf> parse(std::string_view text);

  [[nodiscard]] std::string str() const;
  /// Requester id on the bus: bus << 8 | device << 3 | function.
  [[nodiscard]] uint16_t requester_id() const {
    return static_cast<uint16_t>(bus << 8 | device << 3 | function);
  }
  auto operator<=>(const Bdf&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
};

}  // namespace passthru
