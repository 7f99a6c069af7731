// SPDX-License-Identifier: MIT
// Owns reading and writing a whole small file the way sysfs wants it: one open, one system call, no
// buffering; and what a directory or a link there says. Used by sysfs lookup and by planned
// changes.
#pragma once

#include <cstddef>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace passthru {

/// At most `limit` bytes from the start of `file`. The Error's operation is "read FILE".
Result<std::string> read_file(const std::filesystem::path& file, size_t limit = 4096);

/// Writes `text` in one write(2), so that the kernel sees one store. The file must exist unless
/// `create`; a file that is there is then replaced. The Error's operation is "write FILE".
Result<void> write_file(const std::filesystem::path& file, std::string_view text,
                        bool create = false);

/// Without the newline; empty where the file cannot be read.
std::string first_line(const std::filesystem::path& file);

/// The last part of what a link points to: a driver's name, a group's number. Empty where there is
/// none.
std::string link_name(const std::filesystem::path& link);

/// The names in a directory, ordered; none where it cannot be read.
std::optional<std::vector<std::string>> names_in(const std::filesystem::path& directory);

}  // namespace passthru
