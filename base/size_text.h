// SPDX-License-Identifier: MIT
// Sizes in bytes as text for people.
#pragma once

#include <cstdint>
#include <string>

namespace passthru {

/// Returns the size as a whole number of the largest unit that divides it: "16 MiB", "260 KiB",
/// "1040 bytes".
std::string size_text(uint64_t bytes);

}  // namespace passthru
