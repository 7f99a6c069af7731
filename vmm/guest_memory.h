// SPDX-License-Identifier: MIT
// The guest's RAM in this process, and its addresses in the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/result.h"
#include "vmm/memory_backing.h"
#include "vmm/ram_layout.h"

namespace passthru {

/// Owns the guest's RAM. Fixed after `create`. Its bytes are shared with the guest and with its
/// devices' DMA.
class GuestMemory {
 public:
  struct Range {
    uint64_t address = 0;  ///< guest-physical
    std::span<std::byte> bytes{};
  };

  /// Maps RAM with this layout, whose sum is a multiple of the backing's page. Errors of
  /// MappedMemory::map.
  static Result<std::unique_ptr<GuestMemory>> create(RamLayout layout,
                                                     const MemoryBacking& backing = {});
  /// The same with the layout RamLayout::of(bytes).
  static Result<std::unique_ptr<GuestMemory>> create(uint64_t bytes,
                                                     const MemoryBacking& backing = {});
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /// Returns a range for each part of the layout, ascending.
  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }
  [[nodiscard]] const RamLayout& layout() const { return layout_; }

  /// Returns the bytes at [address, address + size).
  /// Errors:
  /// - EINVAL: these addresses are not all RAM.
  [[nodiscard]] Result<std::span<std::byte>> at(uint64_t address, uint64_t size) const;
  /// Copies `bytes` to `address`. Errors of `at`.
  Result<void> write(uint64_t address, std::span<const std::byte> bytes) const;

 private:
  GuestMemory(MappedMemory mapped, RamLayout layout);

  const MappedMemory mapped_;
  const RamLayout layout_;
  std::vector<Range> ranges_;
};

}  // namespace passthru
