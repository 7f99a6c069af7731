// SPDX-License-Identifier: MIT
// The interface of everything that answers a trapped access. AddressSpace calls it on a vCPU's
// thread. Bars, the MSI-X table, a PBA, a ROM and a VMM's own devices implement it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace passthru {

/// Answers the accesses of a guest to a window. Any vCPU thread may call it, several at once. An
/// access is 1 to 8 bytes wide at any alignment. Bytes are little-endian, as on the guest's bus.
class AccessTarget {
 public:
  virtual ~AccessTarget() = default;
  /// Fills all of `data`. Bytes that cannot be read are all ones.
  virtual void read(uint64_t offset, std::span<std::byte> data) = 0;
  /// Writes `data`. Drops the bytes that cannot be written.
  virtual void write(uint64_t offset, std::span<const std::byte> data) = 0;
};

}  // namespace passthru
