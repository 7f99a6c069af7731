// SPDX-License-Identifier: MIT
// The host's pages and addresses in the tests of address spaces, BARs and the MSI-X placement.
#pragma once

#include <cstddef>
#include <cstdint>

namespace passthru {

inline constexpr uint64_t kPage = 4096;

/// Host memory that is never accessed: only its address matters.
inline std::byte* host(uint64_t address) {
  return reinterpret_cast<std::byte*>(address);
}

}  // namespace passthru
