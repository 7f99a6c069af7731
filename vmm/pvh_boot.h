// SPDX-License-Identifier: MIT
// The boot plan of an ELF kernel by the PVH protocol (Xen, docs/misc/pvh.pandoc): segments, start
// info with the memory map and the RSDP, initrd, command line.
#pragma once

#include <cstddef>
#include <span>
#include <string>

#include "base/result.h"
#include "vmm/boot_plan.h"
#include "vmm/elf_kernel.h"

namespace passthru {

/// Plans the boot of `image`. The plan refers to the bytes of `image` and `initrd`.
/// Errors:
/// - ENOMEM: kernel and initrd do not fit; says how much memory is enough, if any is.
/// - E2BIG: the command line is longer than the kernel accepts.
/// - EINVAL: a segment of the kernel is where the VMM has structures, or where no guest has RAM.
Result<BootPlan> plan_boot(const RamLayout& ram, const ElfKernel& image,
                           std::span<const std::byte> initrd, const std::string& command_line);

}  // namespace passthru
