// SPDX-License-Identifier: MIT
// The virtual address of a mapping, chosen so that the kernel can use huge pages for it. Pure.
#pragma once

#include <cstdint>

namespace passthru {

/// Returns the size of the largest huge page that fits into `size` bytes. 0: too small for any. A
/// mapping can consist of such pages if its address and its offset in the file agree modulo this
/// size.
constexpr uint64_t huge_page_of(uint64_t size) {
  constexpr uint64_t kSmall = uint64_t{1} << 21;  // of x86-64, and of arm64 with pages of 4 KiB
  constexpr uint64_t kLarge = uint64_t{1} << 30;
  if (size >= kLarge) return kLarge;
  return size >= kSmall ? kSmall : 0;
}

/// Returns the first address from `start` on that agrees with `offset` modulo `alignment`, which is
/// a power of two. It is less than `start` + `alignment`, if that does not wrap.
constexpr uint64_t congruent_address(uint64_t start, uint64_t offset, uint64_t alignment) {
  return start + ((offset - start) & (alignment - 1));
}

}  // namespace passthru
