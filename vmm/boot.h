// SPDX-License-Identifier: MIT
// The boot plan of a bzImage by Linux's 64-bit boot protocol: kernel, initrd, command line, boot
// parameters with the memory map, and the page tables of the first instruction.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "vmm/boot_plan.h"
#include "vmm/bzimage.h"

namespace passthru {

/// Plans the boot of `image`. The plan refers to the bytes of `image` and `initrd`.
/// Errors:
/// - ENOMEM: kernel and initrd do not fit; says how much memory is enough, if any is.
/// - E2BIG: the command line is longer than the kernel accepts.
/// - EINVAL: the kernel's preferred address is above 4 GiB.
Result<BootPlan> plan_boot(const RamLayout& ram, const BzImage& image,
                           std::span<const std::byte> initrd, const std::string& command_line);

}  // namespace passthru
