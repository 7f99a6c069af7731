// SPDX-License-Identifier: MIT
// Owns reading and writing a whole small file the way sysfs wants it: one open, one system call, no
// buffering. Used by sysfs lookup and by planned changes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <string_view>

#include "vfio/result.h"

namespace passthru {

/// At most `limit` bytes from the start of `file`. The Error's operation is "read FILE".
Result<std::string> read_file(const std::filesystem::path& file, size_t limit = 4096);

/// Writes `text` in one write(2), so that the kernel sees one store. The file must exist unless
/// `create`; a file that is there is then replaced. The Error's operation is "write FILE".
Result<void> write_file(const std::filesystem::path& file, std::string_view text,
                        bool create = false);

}  // namespace passthru
