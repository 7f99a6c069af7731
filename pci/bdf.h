// SPDX-License-Identifier: MIT
// The address of a PCI function, "0000:00:02.0": parsing, printing, order.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace passthru {

/// Segment, bus, device and function of a PCI function.
struct Bdf {
  uint32_t segment = 0;  ///< the kernel calls it domain; above 0xffff behind a VMD
  uint8_t bus = 0;
  uint8_t device = 0;    ///< 0 to 31
  uint8_t function = 0;  ///< 0 to 7

  /// Reads "SSSS:BB:DD.F" or "BB:DD.F" (segment 0), in hexadecimal. A segment above 0xffff has 5 to
  /// 8 digits, as the kernel prints it: "10000:e1:00.0". Nothing else is accepted, because a
  /// misread address would assign the wrong device.
  ///
  /// Errors:
  /// - EINVAL: anything else. The message shows the form of an address.
  static Result<Bdf> parse(std::string_view text);

  [[nodiscard]] std::string str() const;
  /// Returns the requester id on the bus: bus << 8 | device << 3 | function.
  [[nodiscard]] uint16_t requester_id() const {
    return static_cast<uint16_t>(bus << 8 | device << 3 | function);
  }
  auto operator<=>(const Bdf&) const = default;  // NOLINT(modernize-use-nullptr): its own 0
};

}  // namespace passthru
