// SPDX-License-Identifier: MIT
// Owns a piece of a trace as JSON, for the inspect socket; docs/inspect.md lists its members.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>

#include "device/trace_marks.h"
#include "irq/forward/forward_stats.h"

namespace passthru {

/// What was delivered and what was done, each from where the last piece ended, as of `now`.
[[nodiscard]] nlohmann::json trace_json(const TraceSlice& interrupts, const TraceMarkSlice& marks,
                                        std::chrono::steady_clock::time_point now);

}  // namespace passthru
