// SPDX-License-Identifier: MIT
// The memory map that every guest is given.
#include "vmm/ram_layout.h"

namespace passthru {

std::vector<MemoryRange> memory_map(const RamLayout& ram) {
  using Kind = MemoryRange::Kind;
  std::vector<MemoryRange> map = {
      {.address = 0, .size = kLowRamUsable, .kind = Kind::Usable},
      {.address = kAcpiTables, .size = kKernel - kAcpiTables, .kind = Kind::Reserved},
      {.address = kKernel, .size = ram.low - kKernel, .kind = Kind::Usable},
      {.address = kEcam, .size = kEcamSize, .kind = Kind::Reserved},
  };
  if (ram.high != 0) {
    map.push_back({.address = kHighRamStart, .size = ram.high, .kind = Kind::Usable});
  }
  return map;
}

}  // namespace passthru
