// SPDX-License-Identifier: MIT
// The socket and its clients. The server never waits for a client. A client that sends an
// incomplete request, or does not read its answer, costs only its own buffers.
#include "inspect/inspect_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <system_error>
#include <utility>

#include "base/thread.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::milliseconds kPause{10};  // after a failure, before the next try

Result<sockaddr_un> address_of(const fs::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string& text = path.native();
  if (text.size() >= sizeof(address.sun_path)) {
    return fail(
        ENAMETOOLONG, "create the inspect socket " + text,
        fmt::format("the path of a socket has at most {} bytes", sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, text.c_str(), text.size());
  return address;
}

// Returns whether the path has a socket that no process serves any more: a killed process leaves
// it.
Result<bool> is_left_behind(const fs::path& path, const sockaddr_un& address) {
  struct stat found = {};
  if (::lstat(path.c_str(), &found) != 0) return false;
  if (!S_ISSOCK(found.st_mode)) {
    return fail(EEXIST, "create the inspect socket " + path.string(),
                "the path exists and is not a socket");
  }
  const Fd probe(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe) return fail(errno, "create a socket");
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::connect(probe.get(), name, sizeof(address)) != 0 && errno == ECONNREFUSED) return true;
  return fail(EADDRINUSE, "create the inspect socket " + path.string(),
              "another process serves this socket");
}

Result<Fd> listen_at(const fs::path& path) {
  const sockaddr_un address = PASSTHRU_TRY(address_of(path));
  if (PASSTHRU_TRY(is_left_behind(path, address))) ::unlink(path.c_str());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd) return fail(errno, "create a socket");
  // Before the socket has a name: no client can connect while it has another mode.
  if (::fchmod(fd.get(), 0600) != 0) return fail(errno, "set the mode of the inspect socket");
  const auto* name = reinterpret_cast<const sockaddr*>(&address);
  if (::bind(fd.get(), name, sizeof(address)) != 0) {
    return fail(errno, "create the inspect socket " + path.string());
  }
  if (::listen(fd.get(), InspectServer::kMaxClients) == 0) return fd;
  auto failed = fail(errno, "listen on the inspect socket");
  ::unlink(path.c_str());
  return failed;
}

Result<fs::path> default_path() {
  const fs::path directory = inspect_directory();
  if (directory.empty()) {
    return fail(ENOENT, "create the inspect socket",
                "XDG_RUNTIME_DIR is not set. Name a path for the socket");
  }
  std::error_code error;
  fs::create_directories(directory, error);
  if (error) return fail(error.value(), "create " + directory.string());
  return directory / fmt::format("{}.sock", ::getpid());
}

}  // namespace

fs::path inspect_directory() {
  if (::geteuid() == 0) return "/run/passthru/vm";
  const char* const runtime = std::getenv("XDG_RUNTIME_DIR");
  if (runtime == nullptr || *runtime == '\0') return {};
  return fs::path(runtime) / "passthru/vm";
}

Result<std::unique_ptr<InspectServer>> InspectServer::start(Domain& domain,
                                                            std::vector<AssignedDevice*> devices,
                                                            fs::path path) {
  if (path.empty()) path = PASSTHRU_TRY(default_path());
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail(errno, "create an eventfd");
  Fd listener = PASSTHRU_TRY(listen_at(path));
  std::unique_ptr<InspectServer> server(
      new InspectServer(domain, std::move(devices), path, std::move(listener), std::move(stop)));
  server->thread_ = PASSTHRU_TRY(start_thread_signals_blocked(
      "start the thread of the inspect socket", [server = server.get()] { server->run(); }));
  ::pthread_setname_np(server->thread_.native_handle(), "inspect");  // for `top -H`
  return server;
}

InspectServer::InspectServer(Domain& domain, std::vector<AssignedDevice*> devices, fs::path path,
                             Fd listener, Fd stop)
    : service_(domain, std::move(devices)),
      path_(std::move(path)),
      listener_(std::move(listener)),
      stop_(std::move(stop)) {
  struct stat made = {};
  if (::lstat(path_.c_str(), &made) == 0) inode_ = made.st_ino;
}

InspectServer::~InspectServer() {
  // Another process may have put its own socket there: two that start at once both find the old
  // socket.
  struct stat now = {};
  if (::lstat(path_.c_str(), &now) == 0 && now.st_ino == inode_) ::unlink(path_.c_str());
  if (!thread_.joinable()) return;
  stopping_ = true;
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void InspectServer::run() {
  std::vector<pollfd> ready;
  for (;;) {
    ready = {{.fd = stop_.get(), .events = POLLIN, .revents = 0},
             {.fd = listener_.get(), .events = POLLIN, .revents = 0}};
    std::optional<Clock::time_point> due;
    for (const Client& client : clients_) {
      const bool sends = !client.out.empty();
      ready.push_back({.fd = client.fd.get(),
                       .events = static_cast<short>(sends ? POLLOUT : POLLIN),
                       .revents = 0});
      if (sends) due = std::min(due.value_or(client.patience), client.patience);
    }
    int wait = -1;
    if (due) {
      const auto left = std::chrono::ceil<std::chrono::milliseconds>(*due - Clock::now()).count();
      wait = static_cast<int>(std::clamp<int64_t>(left, 0, INT_MAX));
    }
    if (::poll(ready.data(), ready.size(), wait) < 0) {
      std::this_thread::sleep_for(kPause);
      continue;
    }
    if (ready[0].revents != 0) break;
    size_t at = 2;
    std::erase_if(clients_, [&](Client& client) { return !serve(client, ready[at++].revents); });
    if (ready[1].revents != 0) accept_client();
  }
  clients_.clear();
}

void InspectServer::accept_client() {
  Fd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    // The client keeps waiting, and the listener stays readable: pause before the next try.
    const bool nobody = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    if (!nobody) std::this_thread::sleep_for(kPause);
    return;
  }
  if (clients_.size() < kMaxClients) {
    clients_.emplace_back(std::move(fd), service_);
    return;
  }
  // The refusal fits into the buffer of a new socket, so the send does not block.
  const std::string refusal =
      InspectService::refusal(
          {.code = EAGAIN,
           .operation = "accept another client",
           .cause = fmt::format("{} clients are connected already", kMaxClients),
           .advice = "End one of them, for example a 'passthru msix watch'"}) +
      '\n';
  static_cast<void>(::send(fd.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL));
}

// Returns false if the client must be disconnected.
bool InspectServer::serve(Client& client, short events) const {
  if (stopping_) return false;
  if (!client.out.empty() && Clock::now() >= client.patience) return false;
  if (events == 0) return true;
  return client.out.empty() ? receive(client) : send(client);
}

bool InspectServer::receive(Client& client) {
  std::array<char, 1024> bytes{};
  const ssize_t got = ::recv(client.fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  client.in.append(bytes.data(), static_cast<size_t>(got));
  const size_t end = client.in.find('\n');
  if (end == client.in.npos) return client.in.size() <= InspectService::kMaxRequest;
  // One request at a time: a request that arrives before the answer to this request is lost.
  client.out = client.session.answer(std::string_view(client.in).substr(0, end)) + '\n';
  client.in.clear();
  client.sent = 0;
  client.patience = Clock::now() + kMaxPatience;
  return send(client);
}

bool InspectServer::send(Client& client) {
  const auto left = std::string_view(client.out).substr(client.sent);
  const ssize_t sent = ::send(client.fd.get(), left.data(), left.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  client.sent += static_cast<size_t>(sent);
  if (client.sent == client.out.size()) client.out.clear();
  return true;
}

}  // namespace passthru
