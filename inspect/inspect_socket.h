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

/// Returns PID.sock in `inspect_directory`, which is created if it does not exist.
///
/// Errors:
/// - ENOENT: XDG_RUNTIME_DIR is not set.
/// - EACCES and others: of creating the directory.
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
