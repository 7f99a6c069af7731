// SPDX-License-Identifier: MIT
// The parser of a bzImage: its setup header and its parts. A pure function of the file's bytes,
// which are untrusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/result.h"

namespace passthru {

/// An x86-64 bzImage (Linux, Documentation/arch/x86/boot.rst). The spans are parts of the file.
struct BzImage {
  std::span<const std::byte> setup_header{};  ///< for offset 0x1F1 of the boot parameters
  std::span<const std::byte> kernel{};        ///< the protected-mode kernel
  uint64_t preferred_address = 0;
  uint32_t init_size = 0;         ///< bytes that it needs from its address
  uint32_t initrd_last = 0;       ///< the highest address of an initrd
  uint32_t command_line_max = 0;  ///< without the terminating zero

  /// Parses `file`. `name` is for the error.
  /// Errors:
  /// - EINVAL: the file is not a bzImage with a 64-bit entry; says what it is and what to give.
  static Result<BzImage> parse(std::span<const std::byte> file, const std::string& name);
};

}  // namespace passthru
