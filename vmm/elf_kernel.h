// SPDX-License-Identifier: MIT
// The reader of an uncompressed kernel (vmlinux): which parts of the file go where, and the PVH
// entry. A pure function of the file's bytes, which may be anything.
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
  std::vector<Segment> segments{};  ///< ascending, below 4 GiB, none overlaps another, at least one
  uint32_t entry = 0;               ///< guest-physical; within the bytes of a segment

  /// Returns whether `file` is to be read by `parse`: it begins like an ELF file.
  static bool recognizes(std::span<const std::byte> file);

  /// Reads `file`, which `recognizes` accepts. `name` is for the error.
  /// Errors:
  ///   EINVAL: not such a kernel, or a damaged one; says why and what to give.
  static Result<ElfKernel> parse(std::span<const std::byte> file, const std::string& name);
};

}  // namespace passthru
