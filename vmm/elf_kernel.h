// SPDX-License-Identifier: MIT
// The parser of an uncompressed kernel (vmlinux): its segments and its PVH entry. A pure function
// of the file's bytes, which are untrusted.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"

namespace passthru {

/// An x86-64 ELF executable with a PVH entry (Xen, docs/misc/pvh.pandoc). The spans are parts of
/// the file.
struct ElfKernel {
  static constexpr size_t kMaxHeaders = 64;              ///< program headers
  static constexpr size_t kMaxNotes = size_t{64} << 10;  ///< bytes of a note segment

  struct Segment {
    uint64_t address = 0;                ///< guest-physical
    uint64_t size = 0;                   ///< bytes in memory, at least one
    std::span<const std::byte> bytes{};  ///< its first bytes; the rest is zero
    [[nodiscard]] uint64_t end() const { return address + size; }
  };
  std::vector<Segment> segments{};  ///< at least one; ascending, below 4 GiB, without overlaps
  uint32_t entry = 0;               ///< guest-physical; within the bytes of a segment

  /// Returns whether `file` begins like an ELF file, which `parse` can read.
  static bool recognizes(std::span<const std::byte> file);

  /// Parses `file`, which `recognizes` accepts. `name` is for the error.
  /// Errors:
  /// - EINVAL: the file is not an x86-64 kernel with a PVH entry; says why and what to give.
  static Result<ElfKernel> parse(std::span<const std::byte> file, const std::string& name);
};

}  // namespace passthru
