// SPDX-License-Identifier: MIT
// A guest's loads and stores as numbers, for tests of access targets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

#include "mmap/access.h"
#include "vmm/bytes.h"

namespace passthru {

inline uint64_t read(AccessTarget& target, uint64_t offset, size_t width) {
  std::array<std::byte, 8> data{};
  target.read(offset, std::span(data).first(width));
  return from_bytes(std::span(data).first(width));
}

inline void write(AccessTarget& target, uint64_t offset, size_t width, uint64_t value) {
  std::array<std::byte, 8> data{};
  to_bytes(value, std::span(data).first(width));
  target.write(offset, std::span<const std::byte>(data).first(width));
}

}  // namespace passthru
