// SPDX-License-Identifier: MIT
// The parameter allow_unsafe_interrupts of the kernel module that attaches devices. LinuxKernel and
// the doctor's facts use it.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "vfio/kernel.h"

namespace passthru {

/// Implements Kernel::unsafe_interrupts_allowed. `sys` is /sys, except in tests. Fails, with
/// advice, if `sys` shows no modules.
Result<bool> unsafe_interrupts_allowed(const std::filesystem::path& sys, Backend backend);

}  // namespace passthru
