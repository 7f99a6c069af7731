// SPDX-License-Identifier: MIT
// The socket file of inspect/inspect_server: the directory in which `passthru` looks for it, and
// its creation.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <optional>

#include "base/fd.h"
#include "base/result.h"

namespace passthru {

/// Which users may connect to the inspect socket (root always may), and how long clients may be
/// silent.
struct InspectAccess {
  std::optional<gid_t> group{};  ///< group of the socket; empty: the group of the process
  mode_t mode = 0600;            ///< of the socket, whatever the umask is; to connect needs 'w'
  /// A client that has not sent its first request by then is disconnected.
  std::chrono::milliseconds max_silence{30'000};
  /// Without room for a new client, one that has asked nothing for this time and watches nothing is
  /// disconnected: the client that has been idle for longest.
  std::chrono::milliseconds min_idle{60'000};
};

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
/// - those of `inspect_path_in`. EPERM: another user could put a socket into the directory.
Result<std::filesystem::path> default_inspect_path();

/// Listens at `path`, with this access, for up to `backlog` clients that are not accepted yet. A
/// socket that no process serves any more is replaced. The descriptor does not block.
///
/// Errors:
/// - EADDRINUSE: another process serves the socket, or it is another user's.
/// - EEXIST: the path exists and is not a socket.
/// - ENAMETOOLONG: the path has more than 107 bytes.
/// - ENOENT, EACCES: of the directory.
/// - EPERM: this process may not give the socket to the group.
Result<Fd> listen_at(const std::filesystem::path& path, int backlog, InspectAccess access = {});

}  // namespace passthru
