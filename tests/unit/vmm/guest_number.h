// SPDX-License-Identifier: MIT
// Numbers in guest RAM, for tests of the data that a kernel finds at boot.
#pragma once

#include <cstddef>
#include <cstdint>

#include "vmm/bytes.h"
#include "vmm/guest_memory.h"

namespace passthru {

inline uint64_t word(const GuestMemory& memory, uint64_t address, size_t width) {
  return from_bytes(memory.at(address, width).value());
}

}  // namespace passthru
