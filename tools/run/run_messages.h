// SPDX-License-Identifier: MIT
// What `passthru run` says on standard error, apart from its summary, while the guest runs and
// after.
#pragma once

#include <cstdint>
#include <string>

#include "device/hypervisor.h"

namespace passthru::tools {

/// One line, also for a terminal in raw mode. Empty: the event is only counted, in the summary.
std::string event_line(const Event& event);

/// For the end of a run. Empty: nothing was dropped.
std::string dropped_line(uint64_t console_bytes);

}  // namespace passthru::tools
