// SPDX-License-Identifier: MIT
// Owns what `passthru run` tells a person about the devices when the guest has ended.
#pragma once

#include <string>

#include "device/inspection.h"

namespace passthru::tools {

/// A few lines: the device, each BAR's spans with what trapped accesses cost, its interrupts.
std::string summary(const Inspection& inspection);

}  // namespace passthru::tools
