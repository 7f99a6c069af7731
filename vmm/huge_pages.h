// SPDX-License-Identifier: MIT
// The numbers of the host's huge pages, and the error if they do not suffice. Only
// memory_backing.cc and tests call it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace passthru {

/// Numbers of huge pages of one size.
struct HugePages {
  uint64_t total = 0;     ///< that the host has set aside (nr_hugepages)
  uint64_t free = 0;      ///< of these, not in use
  uint64_t reserved = 0;  ///< free, but promised to a process

  [[nodiscard]] uint64_t available() const { return free > reserved ? free - reserved : 0; }
};

inline constexpr const char* kHugePageDirectory = "/sys/kernel/mm/hugepages";

/// Returns nothing if the host has no huge pages of this size, or has no /sys.
std::optional<HugePages> huge_pages_of_host(
    uint64_t page_size, const std::filesystem::path& directory = kHugePageDirectory);

/// Returns the error for guest RAM of `bytes` in huge pages that the kernel refused with the errno
/// `code`. It says how many pages are needed and free, and the command that reserves them.
Error explain_huge_pages(int code, uint64_t bytes, uint64_t page_size,
                         const std::filesystem::path& directory = kHugePageDirectory);

}  // namespace passthru
