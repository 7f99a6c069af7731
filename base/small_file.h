// SPDX-License-Identifier: MIT
// Reads and writes of small files: one open, one system call, no buffering. Also files and
// directories that survive a crash and other users.
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

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

/// Writes `text` to a file that exists, in one write(2), so that the kernel sees one store. The
/// Error's operation is "write FILE".
Result<void> write_file(const std::filesystem::path& file, std::string_view text);

/// Creates a file or replaces it. After a crash the file has the old or the new content, never a
/// part of it. A symbolic link is replaced, not followed. The
/// mode is 0644, whatever the umask is. The Error's operation is "write FILE".
Result<void> replace_file(const std::filesystem::path& file, std::string_view text);

/// Creates a directory and its missing parents. Their mode is 0755, whatever the umask is. The
/// Error's operation is "create DIRECTORY".
///
/// Errors:
/// - EPERM: the directory exists, and another user could replace the files in it.
/// - Errors of mkdir(2).
Result<void> make_directory(const std::filesystem::path& directory);

/// Why a user other than root and the caller could replace the files of a directory.
enum class DirectoryFault { None, NotOurs, OthersCanWrite };
/// Returns the fault of a directory with this status for a caller with these ids. NotOurs: also
/// what is not a directory.
DirectoryFault directory_fault(const struct stat& status, uid_t user, gid_t group);

/// Returns the first line without its newline; empty if the file cannot be read.
std::string first_line(const std::filesystem::path& file);

/// Returns the last part of a link's target, such as a driver's name or a group's number; empty if
/// there is no link.
std::string link_name(const std::filesystem::path& link);

/// Returns the names in a directory, sorted; nullopt if the directory cannot be read.
std::optional<std::vector<std::string>> names_in(const std::filesystem::path& directory);

}  // namespace passthru
