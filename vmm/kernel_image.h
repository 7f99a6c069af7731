// SPDX-License-Identifier: MIT
// The kernel image that a user gives, of either kind: a bzImage or an ELF kernel.
#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <variant>

#include "base/result.h"
#include "vmm/boot_plan.h"
#include "vmm/bzimage.h"
#include "vmm/elf_kernel.h"

namespace passthru {

using KernelImage = std::variant<BzImage, ElfKernel>;

/// Parses `file`, whose first bytes tell its kind. `name` is for the error.
/// Errors:
/// - EINVAL: the file is of neither kind, or damaged; says why and what to give.
Result<KernelImage> parse_kernel(std::span<const std::byte> file, const std::string& name);

/// Plans the boot of `image` by its own protocol. Errors of plan_boot in boot.h and pvh_boot.h.
Result<BootPlan> plan_boot(const RamLayout& ram, const KernelImage& image,
                           std::span<const std::byte> initrd, const std::string& command_line);

}  // namespace passthru
