// SPDX-License-Identifier: MIT
// The message of a message-signalled interrupt: the address and the 32-bit data that a device
// writes.
#pragma once

#include <compare>
#include <cstdint>

namespace passthru {

/// What an MSI or MSI-X vector writes, and where (PCI 3.0, 6.8.2).
struct MsiMessage {
  uint64_t address = 0;
  uint32_t data = 0;
  auto operator<=>(const MsiMessage&) const = default;
};

}  // namespace passthru
