// SPDX-License-Identifier: MIT
// The command's side of an inspect socket: requests to a VMM, and the search for a device's VMM.
// docs/inspect.md describes the requests.
#pragma once

#include <sys/types.h>

#include <CLI/CLI.hpp>
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
///
/// The VMM is untrusted. What it answers has limits (tools/vmm_answer.h), and it can keep the
/// command waiting for `patience` in total, however many requests that takes.
class VmmClient {
 public:
  static constexpr std::chrono::seconds kPatience{10};

  /// Connects to a VMM. The kernel says who owns the socket: the user that listens on it. If `user`
  /// is given, the owner must be this user. Otherwise, if the caller is root, it must be root.
  ///
  /// Errors:
  /// - ECONNREFUSED, ENOENT: no VMM serves the socket. A killed VMM leaves its socket behind.
  /// - EACCES: the caller may not connect to the socket.
  /// - EPERM: the socket belongs to a user whose VMM the caller does not want to ask.
  /// - ETIMEDOUT: the VMM does not accept the connection.
  static Result<VmmClient> connect(const std::filesystem::path& socket,
                                   std::chrono::milliseconds patience = kPatience,
                                   std::optional<uid_t> user = {});

  /// Sends a request and returns its answer, by `parse_answer`. All texts in it are printable.
  /// After SIGINT, SIGTERM or SIGHUP, while a StopFlag exists, the VMM has a second left.
  ///
  /// Errors:
  /// - the VMM's errno and message, if it refuses the request.
  /// - ETIMEDOUT: the VMM does not answer in time.
  /// - EPIPE: the VMM closed the connection.
  /// - EPROTO: the answer is not of this protocol.
  Result<nlohmann::json> ask(const nlohmann::json& request);
  /// Returns the state of `device`, or of all devices. Errors of `ask`; EPROTO also if the VMM
  /// answers for other devices.
  Result<std::vector<Inspection>> inspect(std::optional<Bdf> device = {});
  /// Returns a member of an answer, or `missing` if the answer does not have it. EPROTO: it has
  /// another type.
  template <class T>
  Result<T> member(const nlohmann::json& answer, const char* name, T missing) const {
    try {
      return answer.value(name, missing);
    } catch (const nlohmann::json::exception& error) {
      return tl::unexpected(not_understood(error.what()));
    }
  }

  /// Gives the VMM its whole patience again: for a command that asks until it is stopped.
  void renew_patience() { left_ = patience_; }
  /// Returns the error EPROTO, which names the VMM.
  [[nodiscard]] Error not_understood(std::string cause) const;

  [[nodiscard]] const std::string& socket() const { return socket_; }
  /// Returns the VMM's process id.
  [[nodiscard]] pid_t pid() const { return pid_; }
  /// Returns the user that owns the socket.
  [[nodiscard]] uid_t user() const { return user_; }

 private:
  using Clock = std::chrono::steady_clock;
  VmmClient(Fd fd, std::string socket, std::chrono::milliseconds patience)
      : fd_(std::move(fd)), socket_(std::move(socket)), patience_(patience), left_(patience) {}
  Result<nlohmann::json> exchange(const nlohmann::json& request);
  Result<std::string> receive();

  Fd fd_;
  std::string socket_;
  pid_t pid_ = 0;
  uid_t user_ = 0;
  std::chrono::milliseconds patience_;
  std::chrono::milliseconds left_;  ///< of `patience_`
};

/// The VMM that a command asks.
struct VmmChoice {
  std::string socket{};         ///< empty: the VMMs of this user in `inspect_directory`
  std::optional<uid_t> user{};  ///< the owner of `socket`; see VmmClient::connect
};
/// Adds --socket and --socket-user, which fill in `choice`.
void add_socket_options(CLI::App& command, VmmChoice& choice);

/// VMMs with their devices, for which each VMM was asked once. VMMs of other users could deceive
/// root, so the search asks only those of this user.
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
/// Returns all VMMs of this user, or the VMM at the chosen socket. Errors of `connect` and `ask`,
/// for a chosen socket only.
Result<KnownVmms> known_vmms(const VmmChoice& choice);

/// Returns the error ENODEV: the VMM at `socket` does not have the device.
[[nodiscard]] Error does_not_have(const std::string& socket, Bdf device);

/// Returns the VMM that has the device: the VMM at the chosen socket, or a VMM of this user.
/// Returns nothing if no VMM has it. Reports VMMs that do not answer.
/// Errors, for a chosen socket only:
/// - ENODEV: the VMM does not have the device.
/// - errors of `connect` and `ask`.
Result<std::optional<VmmClient>> find_vmm(Bdf device, const VmmChoice& choice);
/// Returns the same, or ENODEV if no VMM has the device.
Result<VmmClient> need_vmm(Bdf device, const VmmChoice& choice);

}  // namespace passthru::tools
