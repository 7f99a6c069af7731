// SPDX-License-Identifier: MIT
// Owns the guest's RAM in this process and where it is in the guest. Freed with its owner.
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

/// Fixed after `create`. Its bytes are shared with the guest and with its devices' DMA.
class GuestMemory {
 public:
  struct Range {
    uint64_t address = 0;  ///< guest-physical
    std::span<std::byte> bytes{};
  };

  /// Whole pages, of the backing's size. What does not fit below the hole under 4 GiB goes above
  /// it. Errors of MappedMemory::map.
  static Result<std::unique_ptr<GuestMemory>> create(uint64_t bytes,
                                                     const MemoryBacking& backing = {});
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;

  /// One range, or two; ascending.
  [[nodiscard]] const std::vector<Range>& ranges() const { return ranges_; }
  /// Where they are.
  [[nodiscard]] RamLayout layout() const { return RamLayout::of(mapped_.bytes().size()); }

  /// The bytes at [address, address + size). EINVAL where that is not all RAM.
  [[nodiscard]] Result<std::span<std::byte>> at(uint64_t address, uint64_t size) const;
  /// Copies `bytes` to `address`.
  Result<void> write(uint64_t address, std::span<const std::byte> bytes) const;

 private:
  explicit GuestMemory(MappedMemory mapped);

  const MappedMemory mapped_;
  std::vector<Range> ranges_;
};

}  // namespace passthru
