// SPDX-License-Identifier: MIT
// Owns the inspect socket: a Unix stream socket on which a VMM tells about its devices, one line of
// JSON in, one line out, on a thread of its own. What is asked and answered is
// inspect/inspect_service's.
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

/// Where `passthru` looks for sockets: /run/passthru/vm, or $XDG_RUNTIME_DIR/passthru/vm for who is
/// not root. Empty: neither is to be had.
std::filesystem::path inspect_directory();

class InspectServer {
 public:
  static constexpr size_t kMaxClients = 16;
  /// A client that has not taken its whole answer by then is let go.
  static constexpr std::chrono::seconds kMaxPatience{5};

  /// Serves at `path`, mode 0600, until it is destroyed; `domain` and `devices` outlive it. An
  /// empty path: PID.sock in `inspect_directory`, which is made if it is not there. A socket that
  /// nobody serves any more is replaced. EADDRINUSE: another process serves it; EEXIST: something
  /// else is there; ENAMETOOLONG: more than 107 bytes; ENOENT, EACCES: the directory.
  static Result<std::unique_ptr<InspectServer>> start(Domain& domain,
                                                      std::vector<AssignedDevice*> devices,
                                                      std::filesystem::path path = {});
  /// Waits for the answer under way, if there is one.
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
    std::string in{};   ///< of a request that is not whole yet
    std::string out{};  ///< the answer, until the client has taken it
    size_t sent = 0;    ///< of it
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
  uint64_t inode_ = 0;  ///< of the socket that we made there
  const Fd listener_;
  const Fd stop_;  ///< eventfd
  std::atomic<bool> stopping_ = false;
  std::list<Client> clients_;  ///< the thread's own
  std::thread thread_;
};

}  // namespace passthru
