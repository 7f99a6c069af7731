// SPDX-License-Identifier: MIT
// Structs of the C interface that begin with their size: reading those of older and newer versions,
// as Linux does with the arguments of its calls. Pure.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/result.h"

namespace passthru {

/// The largest struct of this and of any later version.
constexpr size_t kMaxStructSize = 4096;

/// Reads a caller's struct. `minimum` is the struct's size in the version that introduced it.
/// Members that the caller's version does not have are 0.
///
/// Errors:
/// - EINVAL: `given` is null, or its size is below `minimum`.
/// - E2BIG: a byte beyond the struct is not 0.
template <class Struct>
Result<Struct> read_struct(const Struct* given, size_t minimum, const char* operation) {
  if (given == nullptr) return fail(EINVAL, operation, "a pointer is NULL");
  uint32_t size = 0;
  std::memcpy(&size, given, sizeof size);
  if (size < minimum) {
    return fail(
        EINVAL, operation,
        "the size of a struct is " + std::to_string(size) + ", below " + std::to_string(minimum));
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  if (size > kMaxStructSize ||
      !std::all_of(bytes + std::min<size_t>(size, sizeof(Struct)), bytes + size,
                   [](unsigned char byte) { return byte == 0; })) {
    return fail(E2BIG, operation, "a struct has members that this version does not know");
  }
  Struct copy{};
  std::memcpy(static_cast<void*>(&copy), given, std::min<size_t>(size, sizeof(Struct)));
  copy.size = sizeof(Struct);
  return copy;
}

/// Writes a struct to the caller's, which may be of an older or newer version. Members that this
/// version does not have become 0.
///
/// Errors:
/// - EINVAL: `wanted` is null, or its size is below `minimum` or above kMaxStructSize.
template <class Struct>
Result<void> write_struct(Struct value, Struct* wanted, size_t minimum, const char* operation) {
  if (wanted == nullptr) return fail(EINVAL, operation, "a pointer is NULL");
  const uint32_t size = wanted->size;
  if (size < minimum || size > kMaxStructSize) {
    return fail(EINVAL, operation, "the size of a struct is " + std::to_string(size));
  }
  value.size = size;
  std::memset(static_cast<void*>(wanted), 0, size);
  std::memcpy(static_cast<void*>(wanted), &value, std::min<size_t>(size, sizeof(Struct)));
  return {};
}

}  // namespace passthru
