// SPDX-License-Identifier: MIT
// Messages of `passthru run` on standard error while the guest runs and afterwards, without the
// summary.
#pragma once

#include <cstdint>
#include <string>

#include "device/hypervisor.h"

namespace passthru::tools {

/// Returns a line, which a terminal in raw mode shows correctly too. Returns an empty text for an
/// event that is only counted in the summary.
std::string event_line(const Event& event);

/// Returns a line for the end of a run, or an empty text if nothing was dropped.
std::string dropped_line(uint64_t console_bytes);

}  // namespace passthru::tools
