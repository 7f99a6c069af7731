// SPDX-License-Identifier: MIT
// Numbers from environment variables, which make a test longer or repeat one of its runs.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <random>
#include <string_view>

namespace passthru {

/// Returns the number in the variable, or `otherwise` if the variable is not set. "any" gives a
/// random number.
inline uint64_t environment_number(const char* variable, uint64_t otherwise) {
  const char* const text = std::getenv(variable);
  if (text == nullptr) return otherwise;
  return std::string_view(text) == "any" ? std::random_device{}() : std::strtoull(text, nullptr, 0);
}

}  // namespace passthru
