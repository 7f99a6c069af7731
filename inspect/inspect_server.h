// SPDX-License-Identifier: MIT
// The inspect socket: a Unix stream socket on which a VMM answers requests about its devices. One
// line of JSON in, one line out, on a thread of its own. inspect/inspect_service handles the
// requests.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <list>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "inspect/inspect_service.h"

namespace passthru {

/// Returns the directory in which `passthru` looks for sockets: /run/passthru/vm for root,
/// $XDG_RUNTIME_DIR/passthru/vm for other users. Empty if XDG_RUNTIME_DIR is not set.
std::filesystem::path inspect_directory();

class InspectServer {
 public:
  static constexpr size_t kMaxClients = 16;
  /// A client that has not read its whole answer by then is disconnected.
  static constexpr std::chrono::seconds kMaxPatience{5};

  /// Serves at `path`, mode 0600, until this object is destroyed. `domain` and `devices` must
  /// outlive it. An empty path selects PID.sock in `inspect_directory`, which is created if it does
  /// not exist. A socket that no process serves any more is replaced.
  ///
  /// Errors:
  /// - EADDRINUSE: another process serves the socket.
  /// - EEXIST: the path exists and is not a socket.
  /// - ENAMETOOLONG: the path has more than 107 bytes.
  /// - ENOENT, EACCES: of the directory.
  static Result<std::unique_ptr<InspectServer>> start(Domain& domain,
                                                      std::vector<AssignedDevice*> devices,
                                                      std::filesystem::path path = {});
  /// Waits for the answer under way, if any.
  ~InspectServer();
  InspectServer(const InspectServer&) = delete;
  InspectServer& operator=(const InspectServer&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Client {
    Client(Fd connection, InspectService& service) : fd(std::move(connection)), session(service) {}
    Fd fd;
    InspectService::Session session;
    std::string in{};   ///< an incomplete request
    std::string out{};  ///< the answer, until the client has read it
    size_t sent = 0;    ///< bytes of `out`
    Clock::time_point patience{};
  };

  InspectServer(Domain& domain, std::vector<AssignedDevice*> devices, std::filesystem::path path,
                Fd listener, Fd stop);
  void run();
  void accept_client();
  bool serve(Client& client, short events) const;
  static bool receive(Client& client);
  static bool send(Client& client);

  InspectService service_;
  const std::filesystem::path path_;
  uint64_t inode_ = 0;  ///< of our socket at `path_`
  const Fd listener_;
  const Fd stop_;  ///< eventfd
  std::atomic<bool> stopping_ = false;
  std::list<Client> clients_;  ///< used only on the thread
  std::thread thread_;
};

}  // namespace passthru
