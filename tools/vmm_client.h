// SPDX-License-Identifier: MIT
// Owns the command's side of an inspect socket: finds the VMM that has a device, and asks it. What
// can be asked is described in docs/inspect.md.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "host/inspection.h"
#include "vfio/bdf.h"
#include "vfio/fd.h"
#include "vfio/result.h"

namespace passthru::tools {

/// A connection to a VMM. What was asked to be watched is watched until it ends.
class VmmClient {
 public:
  /// ECONNREFUSED, ENOENT: nobody serves there; EACCES: the socket is another user's.
  static Result<VmmClient> connect(const std::filesystem::path& socket);

  /// One request, one answer. The errno and message of the VMM where it refuses; ETIMEDOUT, EPIPE,
  /// EPROTO: it does not answer as one does.
  Result<nlohmann::json> ask(const nlohmann::json& request);
  /// Of one device, or of all.
  Result<std::vector<Inspection>> inspect(std::optional<Bdf> device = {});

  [[nodiscard]] const std::string& socket() const { return socket_; }
  /// Of the VMM.
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  VmmClient(Fd fd, std::string socket, pid_t pid)
      : fd_(std::move(fd)), socket_(std::move(socket)), pid_(pid) {}
  Result<std::string> receive();

  Fd fd_;
  std::string socket_;
  pid_t pid_;
};

/// Every VMM of this user that serves in `inspect_directory`. Those of other users could tell root
/// what they like; they are asked where somebody names their socket.
std::vector<VmmClient> all_vmms();

/// The VMM that has a device: the one at `socket`, or if that is empty the one among `all_vmms`, of
/// which it is told who does not answer. Nothing: none has it. Errors, of `socket` only: ENODEV, it
/// does not have it; those of `connect` and `ask`.
Result<std::optional<VmmClient>> find_vmm(Bdf device, const std::string& socket);
/// The same, for what cannot be done without. ENODEV.
Result<VmmClient> need_vmm(Bdf device, const std::string& socket);

}  // namespace passthru::tools
