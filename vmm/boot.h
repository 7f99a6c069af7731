// SPDX-License-Identifier: MIT
// Owns the putting of Linux into guest memory, as its 64-bit boot protocol asks: kernel, initrd,
// command line, boot parameters with the memory map, and the page tables of the first instruction.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "vfio/result.h"
#include "vmm/bzimage.h"
#include "vmm/guest_memory.h"

namespace passthru {

/// Where the first CPU starts: 64-bit mode, interrupts off, 4 GiB mapped one to one.
struct BootEntry {
  uint64_t instruction = 0;
  uint64_t boot_parameters = 0;  ///< for RSI
  uint64_t page_tables = 0;      ///< for CR3
};

/// ENOMEM: kernel and initrd need more memory than there is, with how much would do. E2BIG: the
/// command line is longer than the kernel takes.
Result<BootEntry> load_linux(const GuestMemory& memory, const BzImage& image,
                             std::span<const std::byte> initrd, const std::string& command_line);

}  // namespace passthru
