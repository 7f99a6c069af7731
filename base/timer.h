// SPDX-License-Identifier: MIT
// A timerfd that is set to a time of std::chrono::steady_clock, for loops that poll.
#pragma once

#include <chrono>
#include <optional>

#include "base/fd.h"
#include "base/result.h"

namespace passthru {

/// Creates a timerfd that does not fire yet.
///
/// Errors:
/// - EMFILE: no descriptor is left.
Result<Fd> create_timer();

/// Makes `timer` readable at `due`, or never with nullopt. It stays readable until the next call. A
/// time in the past makes it readable at once.
void set_timer(const Fd& timer, std::optional<std::chrono::steady_clock::time_point> due);

}  // namespace passthru
