// SPDX-License-Identifier: MIT
// Owns the reading of a Linux kernel image: what its setup header says, and where its parts are.
// A pure function of the file's bytes, which may be anything.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace passthru {

/// An x86-64 bzImage (Linux, Documentation/arch/x86/boot.rst). The spans are parts of the file.
struct BzImage {
  std::span<const std::byte> setup_header{};  ///< what goes to offset 0x1F1 of the boot parameters
  std::span<const std::byte> kernel{};        ///< the protected-mode kernel
  uint64_t preferred_address = 0;
  uint32_t init_size = 0;         ///< bytes it needs from where it is put
  uint32_t initrd_last = 0;       ///< the highest address that an initrd may have
  uint32_t command_line_max = 0;  ///< without the terminating zero

  /// EINVAL for what is not a bzImage with a 64-bit entry: says what it is and what to give.
  static Result<BzImage> parse(std::span<const std::byte> file, const std::string& name);
};

}  // namespace passthru
