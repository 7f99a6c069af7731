// SPDX-License-Identifier: MIT
// Owns how a test waits for what another thread does: as long as any machine may need. What takes
// seconds is told with the state of every thread, because a thread that got no CPU and a signal
// that was lost look the same from outside.
#pragma once

#include <functional>

namespace passthru {

/// Looks every millisecond. False: a minute has passed, and it is not so.
bool eventually(const std::function<bool()>& is_so);

}  // namespace passthru
