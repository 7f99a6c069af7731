// SPDX-License-Identifier: MIT
// Owns what answers a trapped access: `AccessTarget`, called by AddressSpace on a vCPU's thread.
// Bars, the MSI-X table, a PBA, a ROM and a VMM's own devices implement it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace passthru {

/// Answers the accesses that a guest makes to a window. Called on any vCPU's thread, several at
/// once. Widths are 1 to 8 bytes at any alignment; bytes are little-endian, as the guest's bus
/// carries them.
class AccessTarget {
 public:
  virtual ~AccessTarget() = default;
  /// Fills all of `data`; what cannot be read is all ones.
  virtual void read(uint64_t offset, std::span<std::byte> data) = 0;
  /// What cannot be written is dropped.
  virtual void write(uint64_t offset, std::span<const std::byte> data) = 0;
};

}  // namespace passthru
