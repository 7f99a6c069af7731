// SPDX-License-Identifier: MIT
// Reads and writes of small files in sysfs and /proc: one open, one system call, no buffering.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace passthru {

/// Returns at most `limit` bytes from the start of `file`. The Error's operation is "read FILE".
Result<std::string> read_file(const std::filesystem::path& file, size_t limit = 4096);

/// Writes `text` in one write(2), so that the kernel sees one store. Without `create`, the file
/// must exist; with it, a file that exists is replaced. The Error's operation is "write FILE".
Result<void> write_file(const std::filesystem::path& file, std::string_view text,
                        bool create = false);

/// Returns the first line without its newline; empty if the file cannot be read.
std::string first_line(const std::filesystem::path& file);

/// Returns the last part of a link's target, such as a driver's name or a group's number; empty if
/// there is no link.
std::string link_name(const std::filesystem::path& link);

/// Returns the names in a directory, sorted; nullopt if the directory cannot be read.
std::optional<std::vector<std::string>> names_in(const std::filesystem::path& directory);

}  // namespace passthru
