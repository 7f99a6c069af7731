// SPDX-License-Identifier: MIT
// The label of an interrupt in a trace: the device and the vector in one number.
#pragma once

#include <cstdint>

#include "pci/bdf.h"

namespace passthru {

struct TraceLabel {
  Bdf device{};  ///< on the host
  uint16_t vector = 0;

  [[nodiscard]] uint64_t packed() const {
    return uint64_t{device.segment} << 32 | uint64_t{device.requester_id()} << 16 | vector;
  }
  static TraceLabel of(uint64_t packed) {
    return {.device = {.segment = static_cast<uint32_t>(packed >> 32),
                       .bus = static_cast<uint8_t>(packed >> 24),
                       .device = static_cast<uint8_t>(packed >> 19 & 0x1f),
                       .function = static_cast<uint8_t>(packed >> 16 & 0x7)},
            .vector = static_cast<uint16_t>(packed)};
  }
  bool operator==(const TraceLabel&) const = default;
};

}  // namespace passthru
