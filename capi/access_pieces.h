// SPDX-License-Identifier: MIT
// An access of any size as accesses of at most 8 bytes, the widest that a target answers. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

namespace passthru {

/// Calls `visit(address, piece)` for each piece of `data` in ascending order. A piece ends at a
/// multiple of 8. Bytes beyond the last address read as all ones, and are not written.
template <class Bytes, class Visit>
void for_each_access(uint64_t address, Bytes data, Visit visit) {
  constexpr uint64_t kWidest = 8;
  while (!data.empty()) {
    const Bytes piece = data.first(std::min<uint64_t>(data.size(), kWidest - address % kWidest));
    visit(address, piece);
    data = data.subspan(piece.size());
    if (address > UINT64_MAX - piece.size()) break;
    address += piece.size();
  }
  if constexpr (!std::is_const_v<typename Bytes::element_type>) {
    std::fill(data.begin(), data.end(), std::byte{0xff});
  }
}

}  // namespace passthru
