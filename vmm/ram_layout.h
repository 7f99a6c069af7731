// SPDX-License-Identifier: MIT
// The addresses of the guest's RAM, and the memory map that the guest gets. Pure.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

#include "base/result.h"
#include "vmm/memory_map.h"

namespace passthru {

struct RamLayout {
  uint64_t low = 0;   ///< bytes from 0 on, at most up to the hole below 4 GiB
  uint64_t high = 0;  ///< bytes from 4 GiB on

  /// Returns the layout of `bytes` of RAM. RAM that does not fit below the hole is above it.
  static constexpr RamLayout of(uint64_t bytes) {
    const uint64_t low = std::min(bytes, kLowRamEnd);
    return {.low = low, .high = bytes - low};
  }
};

/// An entry of the guest's memory map. The kinds have the numbers that both E820 (ACPI 6.3, table
/// 15-374) and hvm_memmap_table_entry (Xen, public/arch-x86/hvm/start_info.h) give them.
struct MemoryRange {
  enum class Kind : uint32_t { Usable = 1, Reserved = 2 };
  uint64_t address = 0;
  uint64_t size = 0;
  Kind kind = Kind::Usable;
};

/// Returns the memory map, the same for each boot protocol: ascending, without overlaps. `ram.low`
/// is more than 1 MiB.
std::vector<MemoryRange> memory_map(const RamLayout& ram);

/// Checks that CPUs whose physical addresses have `bits` bits reach all RAM.
/// Errors:
/// - EINVAL: they do not; says how much memory they reach.
Result<void> check_reach(const RamLayout& ram, unsigned bits);

}  // namespace passthru
