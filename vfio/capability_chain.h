// SPDX-License-Identifier: MIT
// The capability chains in answers of VFIO's ioctls (linux/vfio.h, struct vfio_info_cap_header),
// walked without trusting the kernel. Pure.
#pragma once

#include <linux/vfio.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"

namespace passthru {

/// Returns a copy of the T at `offset`, if the bytes contain all of it.
template <class T>
std::optional<T> value_at(std::span<const std::byte> bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data() + offset, sizeof value);
  return value;
}

/// A capability of an answer. Its header is within the answer, its content may be cut short.
struct InfoCapability {
  uint16_t id = 0;
  uint32_t offset = 0;  ///< of the header
  bool operator==(const InfoCapability&) const = default;
};

/// Returns the capabilities of an answer in the order of the chain. `fixed` is the size of the
/// struct that the answer starts with, `first` is its cap_offset. `call` is for an error.
///
/// Errors:
/// - EBADMSG: a header lies outside the answer or within the struct, or the chain has a loop.
Result<std::vector<InfoCapability>> capability_chain(std::span<const std::byte> answer,
                                                     size_t fixed, uint32_t first,
                                                     const char* call);

}  // namespace passthru
