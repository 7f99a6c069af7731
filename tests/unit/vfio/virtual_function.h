// SPDX-License-Identifier: MIT
// A physical function and its first virtual function, for the tests of VF tokens.
#pragma once

#include "pci/bdf.h"

namespace passthru {

inline constexpr Bdf kPhysical{.bus = 1};
inline constexpr Bdf kVirtual{.bus = 1, .function = 1};

}  // namespace passthru
