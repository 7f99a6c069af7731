// SPDX-License-Identifier: MIT
// Owns the ways of the peers, and the kernel's own ones bare.
#pragma once

#include <memory>

#include "bench/forward_ways.h"

namespace passthru::bench {

/// Whether a ring of the kind can be set up.
bool ring_can_be_had(Kind kind);

/// None for those kinds that are ours.
std::unique_ptr<Way> make_peer(Kind kind);

}  // namespace passthru::bench
