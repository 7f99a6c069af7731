// SPDX-License-Identifier: MIT
// The ways of the peers, and the kernel's own mechanisms without Passthru.
#pragma once

#include <memory>

#include "bench/forward_ways.h"

namespace passthru::bench {

/// Returns whether a ring of this kind can be set up.
bool ring_can_be_had(Kind kind);

/// Returns nullptr for the kinds that use passthru::Forwarder.
std::unique_ptr<Way> make_peer(Kind kind);

}  // namespace passthru::bench
