// SPDX-License-Identifier: MIT
// The summary of the devices that `passthru run` prints when the guest has ended.
#pragma once

#include <string>

#include "device/inspection.h"

namespace passthru::tools {

/// Returns a few lines: the device, each BAR's spans with their trapped accesses, its interrupts.
std::string summary(const Inspection& inspection);

}  // namespace passthru::tools
