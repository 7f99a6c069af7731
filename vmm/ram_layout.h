// SPDX-License-Identifier: MIT
// The addresses of the guest's RAM, and the memory map that the guest gets. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "vfio/kernel.h"
#include "vmm/memory_map.h"

namespace passthru {

/// Addresses that the IOMMU reserves: the devices of a group cannot use them for DMA.
struct ReservedRange {
  IovaRange range{};
  Bdf device{};  ///< a device of the group, for errors
  bool operator==(const ReservedRange&) const = default;
};

/// Addresses from `begin` to before `end`, without RAM.
struct RamHole {
  uint64_t begin = 0;
  uint64_t end = 0;
  std::optional<ReservedRange> reserved{};  ///< the cause; nothing for the hole below 4 GiB
};

struct RamLayout {
  struct Part {
    uint64_t address = 0;
    uint64_t size = 0;
    [[nodiscard]] uint64_t end() const { return address + size; }
    bool operator==(const Part&) const = default;
  };
  /// KVM has a memory slot for each.
  static constexpr size_t kMaxParts = 8;

  std::vector<Part> parts{};     ///< ascending, multiples of kMemoryStep; the first is at 0
  std::vector<RamHole> holes{};  ///< ascending, without overlaps; also those behind all RAM

  /// Returns the layout of `bytes` of RAM, a multiple of kMemoryStep. RAM that does not fit below
  /// the hole under 4 GiB is above it.
  static RamLayout of(uint64_t bytes);
  /// Returns a layout that leaves out `reserved` too. The guest has all of its RAM: RAM goes on
  /// behind each hole. Holes are multiples of kMemoryStep.
  ///
  /// Errors:
  /// - EINVAL: a range is in the first kMemoryStep, where every guest needs RAM. The cause names
  /// it.
  /// - EINVAL: the RAM would have more than kMaxParts.
  static Result<RamLayout> around(uint64_t bytes, const std::vector<ReservedRange>& reserved);

  /// Returns the first address below the hole under 4 GiB that has neither RAM nor more RAM behind
  /// it; kLowRamEnd if there is RAM above 4 GiB.
  [[nodiscard]] uint64_t low_end() const;
  /// Returns the end of RAM above 4 GiB; 4 GiB without RAM there.
  [[nodiscard]] uint64_t high_end() const;
};

/// An entry of the guest's memory map. The kinds have the numbers that both E820 (ACPI 6.3, table
/// 15-374) and hvm_memmap_table_entry (Xen, public/arch-x86/hvm/start_info.h) give them.
struct MemoryRange {
  enum class Kind : uint32_t { Usable = 1, Reserved = 2 };
  uint64_t address = 0;
  uint64_t size = 0;
  Kind kind = Kind::Usable;
  bool operator==(const MemoryRange&) const = default;
};

/// Returns the memory map, the same for each boot protocol: ascending, without overlaps. Holes
/// between RAM are reserved. The first part of `ram` has more than 1 MiB.
std::vector<MemoryRange> memory_map(const RamLayout& ram);

/// Checks that CPUs whose physical addresses have `bits` bits reach all RAM.
/// Errors:
/// - EINVAL: they do not; says how much memory they reach.
Result<void> check_reach(const RamLayout& ram, unsigned bits);

}  // namespace passthru
