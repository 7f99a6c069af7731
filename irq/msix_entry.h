// SPDX-License-Identifier: MIT
// One entry of an MSI-X table.
#pragma once

#include <cstdint>

#include "irq/msi_message.h"

namespace passthru {

/// An entry as it lies in a table, the guest's or the device's (PCI 3.0, 6.8.2.6 to 6.8.2.9).
struct MsixEntry {
  static constexpr uint64_t kSize = 16;
  static constexpr uint32_t kMasked = 1;

  uint32_t address_low = 0;
  uint32_t address_high = 0;
  uint32_t data = 0;
  uint32_t control = kMasked;

  [[nodiscard]] MsiMessage message() const {
    return {static_cast<uint64_t>(address_high) << 32 | address_low, data};
  }
  [[nodiscard]] bool masked() const { return (control & kMasked) != 0; }
  bool operator==(const MsixEntry&) const = default;
};
static_assert(sizeof(MsixEntry) == MsixEntry::kSize);

}  // namespace passthru
