// SPDX-License-Identifier: MIT
// A wait for the effect of another thread, long enough for any machine. A wait of several seconds
// reports the state of every thread: a thread without CPU time and a lost signal look the same from
// outside.
#pragma once

#include <functional>

namespace passthru {

/// Checks `is_so` every millisecond. Returns false if it is still false after a minute.
bool eventually(const std::function<bool()>& is_so);

}  // namespace passthru
