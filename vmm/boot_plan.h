// SPDX-License-Identifier: MIT
// The contents of guest RAM and the state of the first CPU before the first instruction, as a
// value. A boot protocol makes it from a kernel image: boot.h from a bzImage, pvh_boot.h from an
// ELF file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "vmm/guest_memory.h"
#include "vmm/ram_layout.h"

namespace passthru {

/// The state of the first CPU at its first instruction. Interrupts are off, segments are flat.
struct BootEntry {
  enum class Mode {
    Long,       ///< 64-bit mode, 4 GiB mapped one to one; the parameters are in RSI
    Protected,  ///< 32-bit protected mode, paging off; the parameters are in EBX
  };
  Mode mode = Mode::Long;
  uint64_t instruction = 0;
  uint64_t parameters = 0;   ///< address of the boot parameters, or of the start info
  uint64_t page_tables = 0;  ///< for CR3; 0 without paging
};

struct BootPlan {
  /// A part of guest RAM. The bytes of `content()` are at its begin, the rest is zero.
  struct Piece {
    uint64_t address = 0;
    uint64_t size = 0;
    std::span<const std::byte> of_file{};  ///< part of an image, which outlives the plan
    std::vector<std::byte> made{};         ///< or bytes that the plan owns
    [[nodiscard]] std::span<const std::byte> content() const {
      return made.empty() ? of_file : std::span<const std::byte>(made);
    }
  };

  std::vector<Piece> pieces{};  ///< all in RAM, without overlaps
  BootEntry entry{};

  void add(uint64_t address, std::span<const std::byte> of_file, uint64_t size);
  void add(uint64_t address, std::vector<std::byte> made);
  /// Adds the command line with its terminating zero.
  void add_command_line(const std::string& text);

  /// Writes every piece.
  /// Errors:
  /// - EINVAL: a piece is not in RAM.
  Result<void> write_to(const GuestMemory& memory) const;
};

/// Returns the highest page-aligned address below 4 GiB for an initrd of `size` bytes that begins
/// after `kernel_end` and ends before `limit`.
/// Errors:
/// - EINVAL: a hole that the IOMMU reserves is where the kernel needs RAM. The cause names it.
/// - ENOMEM: kernel and initrd do not fit; says how much memory is enough, if any is.
Result<uint64_t> place_initrd(const RamLayout& ram, uint64_t kernel_end, uint64_t limit,
                              uint64_t size);

/// Checks the length of a command line. The kernel accepts `longest` bytes without the final zero.
/// Errors:
/// - E2BIG: `text` is longer.
Result<void> check_command_line(const std::string& text, uint64_t longest);

}  // namespace passthru
