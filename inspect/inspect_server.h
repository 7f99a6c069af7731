// SPDX-License-Identifier: MIT
// The inspect socket: a Unix stream socket on which a VMM answers requests about its devices. One
// line of JSON in, one line out. inspect/inspect_service handles the requests.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "inspect/inspect_service.h"
#include "inspect/inspect_socket.h"

namespace passthru {

/// `add` and `remove` may be called from any thread, while requests are answered.
///
/// A thread of its own drives it (`start`, or `start_thread` after `open`), or a loop of the VMM
/// (`poll_fd`, `run_once`).
class InspectServer {
 public:
  static constexpr size_t kMaxClients = 16;
  /// Clients of other users, the members of `InspectAccess::group`, have at most so many of these
  /// places. So they cannot keep the user of this process and root out.
  static constexpr size_t kMaxGroupClients = 12;
  /// A client that has not read its whole answer by then is disconnected.
  static constexpr std::chrono::seconds kMaxPatience{5};

  /// Opens the socket at `path`, with this access, until this object is destroyed. Clients are
  /// served as soon as a loop or a thread drives it. `domain` must outlive it. So must `devices`,
  /// unless they are removed before. An empty path selects PID.sock in `inspect_directory`, which
  /// is created if it does not exist. A socket that no process serves any more is replaced.
  ///
  /// Errors:
  /// - EADDRINUSE: another process serves the socket.
  /// - EEXIST: the path exists and is not a socket.
  /// - ENAMETOOLONG: the path has more than 107 bytes.
  /// - ENOENT, EACCES: of the directory.
  /// - EPERM: another user can write to the default directory, or this process may not give the
  ///   socket to the group.
  /// - EMFILE: no descriptor is left.
  static Result<std::unique_ptr<InspectServer>> open(Domain& domain,
                                                     std::vector<AssignedDevice*> devices,
                                                     std::filesystem::path path = {},
                                                     InspectAccess access = {});
  /// Opens the socket as `open` does, and starts a thread that drives it.
  ///
  /// Errors: those of `open` and `start_thread`.
  static Result<std::unique_ptr<InspectServer>> start(Domain& domain,
                                                      std::vector<AssignedDevice*> devices,
                                                      std::filesystem::path path = {},
                                                      InspectAccess access = {});
  /// Waits for the answer under way on its thread. Must not run while a loop of the VMM is in
  /// `run_once`, nor be called from inside a call of Hypervisor or from inside an access.
  ~InspectServer();
  InspectServer(const InspectServer&) = delete;
  InspectServer& operator=(const InspectServer&) = delete;

  /// InspectService::add.
  Result<void> add(AssignedDevice& device) { return service_.add(device); }
  /// InspectService::remove. Does not disconnect clients.
  void remove(AssignedDevice& device) { service_.remove(device); }

  /// Starts a thread that drives until this object ends. After that, only the thread may call
  /// `run_once`.
  ///
  /// Errors:
  /// - EAGAIN: no thread can be created.
  /// - EBUSY: it has a thread already.
  Result<void> start_thread();
  /// Returns a descriptor to poll for POLLIN, level-triggered. Call `run_once` each time it is
  /// ready. It is also ready when a client must be disconnected because its time is over.
  [[nodiscard]] int poll_fd() const { return fds_.epoll.get(); }
  /// Does the work that is ready: answers requests, sends answers, accepts and disconnects clients.
  /// Never waits for a client. Waits for the devices that requests concern, and up to a second for
  /// "trigger" (docs/inspect.md). If the calling thread also drives the VM's forwarder, "trigger"
  /// delivers interrupts meanwhile. One thread at a time may call it, holding no lock that
  /// Hypervisor's calls take.
  void run_once();

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  using Clock = std::chrono::steady_clock;
  struct Client {
    Client(Fd connection, InspectService& service, bool other)
        : fd(std::move(connection)), session(service), other_user(other) {}
    Fd fd;
    InspectService::Session session;
    bool other_user;    ///< neither the user of this process nor root
    std::string in{};   ///< an incomplete request
    std::string out{};  ///< the answer, until the client has read it
    size_t sent = 0;    ///< bytes of `out`
    /// Time of the disconnection: while there is an answer to send, and before the first request.
    std::optional<Clock::time_point> patience{};
    Clock::time_point asked_at = Clock::now();  ///< time of its last request, or of its connection
  };
  using Clients = std::list<Client>;
  struct Descriptors {
    Fd epoll;     ///< has the three below and the clients
    Fd stop;      ///< eventfd: the thread must end
    Fd timer;     ///< timerfd: `due_`
    Fd listener;  ///< has no events before `accept_at_`
  };

  InspectServer(Domain& domain, const std::vector<AssignedDevice*>& devices,
                std::filesystem::path path, InspectAccess access, Descriptors fds);
  void run();
  [[nodiscard]] Result<void> control(int operation, const Fd& fd, uint32_t events) const;
  void accept_client();
  void accept_later();
  [[nodiscard]] bool is_of_other_user(const Fd& connection) const;
  bool make_room(bool of_other_users);
  bool serve(Client& client) const;
  static bool receive(Client& client);
  static bool send(Client& client);
  Clients::iterator disconnect(Clients::iterator client);
  void act_on_time();
  void program_timer();

  InspectService service_;
  const std::filesystem::path path_;
  const InspectAccess access_;
  const uid_t user_;
  uint64_t inode_ = 0;  ///< of our socket at `path_`
  const Descriptors fds_;
  std::atomic<bool> stopping_ = false;
  // For the driving thread only.
  Clients clients_;
  std::optional<Clock::time_point> accept_at_;  ///< no client is accepted before, after a failure
  std::optional<Clock::time_point> due_;        ///< the timer's
  std::thread thread_;
};

}  // namespace passthru
