// SPDX-License-Identifier: MIT
// A part of a trace as JSON, for the inspect socket. docs/inspect.md lists its members.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>

#include "device/trace_marks.h"
#include "irq/forward/forward_stats.h"

namespace passthru {

/// Returns the interrupts and marks since the last part, as of `now`.
[[nodiscard]] nlohmann::json trace_json(const TraceSlice& interrupts, const TraceMarkSlice& marks,
                                        std::chrono::steady_clock::time_point now);

}  // namespace passthru
