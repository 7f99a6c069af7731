// SPDX-License-Identifier: MIT
// Calls on a domain or a device of the C interface, and their arguments.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <vector>

#include "capi/c_domain.h"
#include "capi/call.h"

namespace passthru {

/// Calls `body` with the domain of a handle.
///
/// Errors:
/// - EINVAL: the domain does not exist.
/// - Others: those of `call` and `body`.
template <class Body>
int call_domain(passthru_domain* handle, const char* operation, Body body) noexcept {
  return call(operation, [&]() -> Result<void> {
    const auto domain = domains().find(handle);
    if (!domain) return fail(EINVAL, operation, "the domain does not exist");
    return body(*domain);
  });
}

/// Calls `body` with the device of a handle.
///
/// Errors:
/// - EINVAL: the device does not exist.
/// - Others: those of `call` and `body`.
template <class Body>
int call_device(passthru_device* handle, const char* operation, Body body) noexcept {
  return call(operation, [&]() -> Result<void> {
    const auto device = devices().find(handle);
    if (!device) return fail(EINVAL, operation, "the device does not exist");
    return body(*device->device);
  });
}

inline Result<void> require(bool condition, const char* operation, const char* cause) {
  if (condition) return {};
  return fail(EINVAL, operation, cause);
}

/// Checks a pointer and a size. A null pointer is allowed only for 0 bytes, and the bytes must not
/// end beyond the address space.
inline Result<void> require_bytes(const void* data, size_t size, const char* operation) {
  PASSTHRU_TRY(require(data != nullptr || size == 0, operation, "a pointer is NULL"));
  return require(size <= SIZE_MAX - reinterpret_cast<uintptr_t>(data), operation,
                 "the bytes end beyond the address space");
}

/// Fills what a failed read was to fill with ones, unless the bytes are not a caller's.
inline void fill_ones(void* data, size_t size) {
  if (data != nullptr && require_bytes(data, size, "read")) std::memset(data, 0xff, size);
}

/// Copies a list to a caller's array. `*count` is the room, and then the number of elements.
///
/// Errors:
/// - EINVAL: a pointer is NULL.
/// - ENOSPC: there is too little room; `*count` is the number of elements.
template <class Element>
Result<void> copy_out(const std::vector<Element>& from, Element* to, size_t* count,
                      const char* operation) {
  PASSTHRU_TRY(require(count != nullptr, operation, "a pointer is NULL"));
  const bool fits = *count >= from.size();
  PASSTHRU_TRY(require(!fits || to != nullptr || from.empty(), operation, "a pointer is NULL"));
  *count = from.size();
  if (!fits) return fail(ENOSPC, operation, "the array has too little room for all elements");
  std::copy(from.begin(), from.end(), to);
  return {};
}

}  // namespace passthru
