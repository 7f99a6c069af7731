// SPDX-License-Identifier: MIT
#include "vmm/ram_layout.h"

namespace passthru {

std::vector<MemoryRange> memory_map(const RamLayout& ram) {
  using enum MemoryRange::Kind;
  std::vector<MemoryRange> map = {
      {.address = 0, .size = kLowRamUsable, .kind = Usable},
      {.address = kAcpiTables, .size = kKernel - kAcpiTables, .kind = Reserved},
      {.address = kKernel, .size = ram.low - kKernel, .kind = Usable},
      {.address = kEcam, .size = kEcamSize, .kind = Reserved},
  };
  if (ram.high != 0) {
    map.push_back({.address = kHighRamStart, .size = ram.high, .kind = Usable});
  }
  return map;
}

}  // namespace passthru
