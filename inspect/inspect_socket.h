// SPDX-License-Identifier: MIT
// The socket file of inspect/inspect_server: the directory in which `passthru` looks for it, and
// its creation.
#pragma once

#include <filesystem>

#include "base/fd.h"
#include "base/result.h"

namespace passthru {

/// Returns the directory in which `passthru` looks for sockets: /run/passthru/vm for root,
/// $XDG_RUNTIME_DIR/passthru/vm for other users. Empty if XDG_RUNTIME_DIR is not set.
std::filesystem::path inspect_directory();

/// Returns PID.sock in a directory, which is created if it does not exist. Only its owner can write
/// to it, whatever the umask is.
///
/// Errors: those of make_directory.
Result<std::filesystem::path> inspect_path_in(const std::filesystem::path& directory);

/// Returns the same in `inspect_directory`.
///
/// Errors:
/// - ENOENT: XDG_RUNTIME_DIR is not set.
/// - those of `inspect_path_in`.
Result<std::filesystem::path> default_inspect_path();

/// Listens at `path`, mode 0600, for up to `backlog` clients that are not accepted yet. A socket
/// that no process serves any more is replaced. The descriptor does not block.
///
/// Errors:
/// - EADDRINUSE: another process serves the socket.
/// - EEXIST: the path exists and is not a socket.
/// - ENAMETOOLONG: the path has more than 107 bytes.
/// - ENOENT, EACCES: of the directory.
Result<Fd> listen_at(const std::filesystem::path& path, int backlog);

}  // namespace passthru
