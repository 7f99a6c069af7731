// SPDX-License-Identifier: MIT
// Owns the command's side of an inspect socket: finds the VMM that has a device, and asks it. What
// can be asked is described in docs/inspect.md.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "device/inspection.h"
#include "pci/bdf.h"

namespace passthru::tools {

/// A connection to a VMM. What was asked to be watched is watched until it ends.
class VmmClient {
 public:
  /// An answer has to be whole within `patience`.
  /// ECONNREFUSED, ENOENT: nobody serves there, as one leaves it that was killed; EACCES: the
  /// socket is another user's; ETIMEDOUT: it is served, and takes nobody.
  static Result<VmmClient> connect(const std::filesystem::path& socket,
                                   std::chrono::milliseconds patience = std::chrono::seconds(10));

  /// One request, one answer, of which every text is printable: a VMM may say what it likes. The
  /// errno and message of the VMM where it refuses; ETIMEDOUT, EPIPE, EPROTO: it does not answer as
  /// one does.
  Result<nlohmann::json> ask(const nlohmann::json& request);
  /// Of one device, or of all.
  Result<std::vector<Inspection>> inspect(std::optional<Bdf> device = {});

  [[nodiscard]] const std::string& socket() const { return socket_; }
  /// Of the VMM.
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  VmmClient(Fd fd, std::string socket, pid_t pid, std::chrono::milliseconds patience)
      : fd_(std::move(fd)), socket_(std::move(socket)), pid_(pid), patience_(patience) {}
  Result<std::string> receive();

  Fd fd_;
  std::string socket_;
  pid_t pid_;
  std::chrono::milliseconds patience_;
};

/// Every VMM of this user that serves in `inspect_directory`. Those of other users could tell root
/// what they like; they are asked where somebody names their socket. `silent` becomes true where
/// one takes nobody, of which it is told.
std::vector<VmmClient> all_vmms(bool& silent);

/// All of them, each asked once for its devices.
struct KnownVmms {
  struct One {
    VmmClient client;
    std::vector<Bdf> devices;
  };
  std::vector<One> all{};
  bool silent = false;  ///< some do not answer, of which was told: what they have is not known

  /// The one that has a device; null: none.
  [[nodiscard]] VmmClient* of(Bdf device);
};
/// Those, or the one at `socket` where that is not empty: then the errors are those of `connect`
/// and `ask`.
Result<KnownVmms> known_vmms(const std::string& socket);

/// ENODEV: the VMM at `socket` does not have the device.
[[nodiscard]] Error does_not_have(const std::string& socket, Bdf device);

/// The VMM that has a device: the one at `socket`, or if that is empty the one among `all_vmms`, of
/// which it is told who does not answer. Nothing: none has it. Errors, of `socket` only: ENODEV, it
/// does not have it; those of `connect` and `ask`.
Result<std::optional<VmmClient>> find_vmm(Bdf device, const std::string& socket);
/// The same, for what cannot be done without. ENODEV.
Result<VmmClient> need_vmm(Bdf device, const std::string& socket);

}  // namespace passthru::tools
