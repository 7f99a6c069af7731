// SPDX-License-Identifier: MIT
// Owns where Linux says whether it insists on interrupt remapping: a parameter of the module that
// attaches devices. LinuxKernel asks it, and what doctor looks at.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "vfio/kernel.h"

namespace passthru {

/// Kernel::unsafe_interrupts_allowed, as `sys` has it, which is /sys outside of tests. An error,
/// with advice: no modules are shown there.
Result<bool> unsafe_interrupts_allowed(const std::filesystem::path& sys, Backend backend);

}  // namespace passthru
