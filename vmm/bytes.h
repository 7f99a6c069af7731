// SPDX-License-Identifier: MIT
// Conversions between a register's value and 1 to 8 little-endian bytes. Used by the VMM's devices
// and for structures in the guest's memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace passthru {

/// Returns the value of the first 8 bytes at most.
inline uint64_t from_bytes(std::span<const std::byte> bytes) {
  uint64_t value = 0;
  for (size_t i = 0; i < bytes.size() && i < sizeof(value); ++i) {
    value |= std::to_integer<uint64_t>(bytes[i]) << (8 * i);
  }
  return value;
}

/// Fills all of `bytes`. Bytes beyond the value's 8 become zero.
inline void to_bytes(uint64_t value, std::span<std::byte> bytes) {
  for (size_t i = 0; i < bytes.size(); ++i) {
    bytes[i] = i < sizeof(value) ? static_cast<std::byte>(value >> (8 * i)) : std::byte{0};
  }
}

/// Calls `visit(offset, index, width)` for the pieces of an access of `size` bytes at `offset`,
/// each 1, 2 or 4 bytes wide and naturally aligned; `index` counts from the access's first byte.
template <class Visit>
void for_each_aligned_piece(uint64_t offset, size_t size, Visit visit) {
  for (size_t index = 0; index < size;) {
    unsigned width = 4;
    while ((offset + index) % width != 0 || width > size - index) width /= 2;
    visit(offset + index, index, width);
    index += width;
  }
}

}  // namespace passthru
