// SPDX-License-Identifier: MIT
// The command's side of an inspect socket: the search for a device's VMM, and requests to it.
// docs/inspect.md describes the requests.
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

/// A connection to a VMM. Its watches end with the connection.
class VmmClient {
 public:
  /// Connects to a VMM. Each of its answers must be complete within `patience`.
  /// Errors:
  /// - ECONNREFUSED, ENOENT: no VMM serves the socket. A killed VMM leaves its socket behind.
  /// - EACCES: the socket belongs to another user.
  /// - ETIMEDOUT: the VMM does not accept the connection.
  static Result<VmmClient> connect(const std::filesystem::path& socket,
                                   std::chrono::milliseconds patience = std::chrono::seconds(10));

  /// Sends a request and returns its answer. All its texts are made printable: a VMM is untrusted.
  /// Errors:
  /// - the VMM's errno and message, if it refuses the request.
  /// - ETIMEDOUT: the VMM does not answer in time.
  /// - EPIPE: the VMM closed the connection.
  /// - EPROTO: the answer is not of this protocol.
  Result<nlohmann::json> ask(const nlohmann::json& request);
  /// Returns the state of `device`, or of all devices.
  Result<std::vector<Inspection>> inspect(std::optional<Bdf> device = {});

  [[nodiscard]] const std::string& socket() const { return socket_; }
  /// Returns the VMM's process id.
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

/// Connects to every VMM of this user in `inspect_directory`. VMMs of other users could deceive
/// root; they are asked only if the user names their socket. Reports each VMM that does not accept
/// the connection, and then sets `silent`.
std::vector<VmmClient> all_vmms(bool& silent);

/// VMMs with their devices, for which each VMM was asked once.
struct KnownVmms {
  struct One {
    VmmClient client;
    std::vector<Bdf> devices;
  };
  std::vector<One> all{};
  bool silent = false;  ///< a VMM did not answer, which was reported; its devices are unknown

  /// Returns the VMM that has `device`, or null.
  [[nodiscard]] VmmClient* of(Bdf device);
};
/// Returns the VMMs of `all_vmms`, or the VMM at `socket` if that is not empty. Errors of `connect`
/// and `ask`, for `socket` only.
Result<KnownVmms> known_vmms(const std::string& socket);

/// Returns the error ENODEV: the VMM at `socket` does not have the device.
[[nodiscard]] Error does_not_have(const std::string& socket, Bdf device);

/// Returns the VMM that has the device: the VMM at `socket`, or if that is empty a VMM of
/// `all_vmms`. Returns nothing if no VMM has it. Reports VMMs that do not answer.
/// Errors, for `socket` only:
/// - ENODEV: the VMM does not have the device.
/// - errors of `connect` and `ask`.
Result<std::optional<VmmClient>> find_vmm(Bdf device, const std::string& socket);
/// Returns the same, or ENODEV if no VMM has the device.
Result<VmmClient> need_vmm(Bdf device, const std::string& socket);

}  // namespace passthru::tools
