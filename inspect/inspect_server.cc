// SPDX-License-Identifier: MIT
// The socket's clients. The server never waits for a client. A client that sends an incomplete
// request, or does not read its answer, costs only its own buffers.
#include "inspect/inspect_server.h"

#include <fmt/format.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <iterator>
#include <span>
#include <string_view>

#include "base/thread.h"
#include "base/timer.h"

namespace passthru {
namespace {

constexpr std::chrono::milliseconds kAfterRefusal{10};  // by the kernel, before the next try

}  // namespace

Result<std::unique_ptr<InspectServer>> InspectServer::open(Domain& domain,
                                                           std::vector<AssignedDevice*> devices,
                                                           std::filesystem::path path,
                                                           InspectAccess access) {
  if (path.empty()) path = PASSTHRU_TRY(default_inspect_path());
  Descriptors fds{};
  fds.epoll = Fd(::epoll_create1(EPOLL_CLOEXEC));
  if (!fds.epoll) return fail(errno, "epoll_create1");
  fds.stop = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!fds.stop) return fail(errno, "create an eventfd");
  fds.timer = PASSTHRU_TRY(create_timer());
  fds.listener = PASSTHRU_TRY(listen_at(path, kMaxClients, access));
  std::unique_ptr<InspectServer> server(
      new InspectServer(domain, devices, std::move(path), access, std::move(fds)));
  for (const Fd* each : {&server->fds_.stop, &server->fds_.timer, &server->fds_.listener}) {
    PASSTHRU_TRY(server->control(EPOLL_CTL_ADD, *each, EPOLLIN));
  }
  return server;
}

Result<std::unique_ptr<InspectServer>> InspectServer::start(Domain& domain,
                                                            std::vector<AssignedDevice*> devices,
                                                            std::filesystem::path path,
                                                            InspectAccess access) {
  auto server = PASSTHRU_TRY(open(domain, std::move(devices), std::move(path), access));
  PASSTHRU_TRY(server->start_thread());
  return server;
}

InspectServer::InspectServer(Domain& domain, const std::vector<AssignedDevice*>& devices,
                             std::filesystem::path path, InspectAccess access, Descriptors fds)
    : service_(domain, devices),
      path_(std::move(path)),
      access_(access),
      user_(::geteuid()),
      fds_(std::move(fds)) {
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
  ::eventfd_write(fds_.stop.get(), 1);
  thread_.join();
}

Result<void> InspectServer::start_thread() {
  if (thread_.joinable()) {
    return fail(EBUSY, "start the thread of the inspect socket", "a thread drives it already");
  }
  thread_ = PASSTHRU_TRY(
      start_thread_signals_blocked("start the thread of the inspect socket", [this] { run(); }));
  ::pthread_setname_np(thread_.native_handle(), "inspect");  // for `top -H`
  return {};
}

void InspectServer::run() {
  pollfd work{.fd = poll_fd(), .events = POLLIN, .revents = 0};
  while (!stopping_) {
    if (::poll(&work, 1, -1) < 0) std::this_thread::sleep_for(kAfterRefusal);
    run_once();
  }
}

// Accepts last: a client that has ended makes room.
void InspectServer::run_once() {
  std::array<epoll_event, kMaxClients + 3> ready{};
  const int found = ::epoll_wait(fds_.epoll.get(), ready.data(), static_cast<int>(ready.size()), 0);
  bool connects = false;
  for (const epoll_event& event : std::span(ready).first(static_cast<size_t>(std::max(found, 0)))) {
    if (stopping_) return;
    const int fd = event.data.fd;
    connects |= fd == fds_.listener.get();
    const auto client = std::find_if(clients_.begin(), clients_.end(),
                                     [fd](const Client& each) { return each.fd.get() == fd; });
    if (client != clients_.end() && !serve(*client)) disconnect(client);
  }
  act_on_time();
  if (connects) accept_client();
  program_timer();
}

// A descriptor is its own token: it stays open as long as epoll has it.
Result<void> InspectServer::control(int operation, const Fd& fd, uint32_t events) const {
  epoll_event event{.events = events, .data = {.fd = fd.get()}};
  if (::epoll_ctl(fds_.epoll.get(), operation, fd.get(), &event) == 0) return {};
  return fail(errno, "epoll_ctl");
}

void InspectServer::accept_client() {
  Fd fd(::accept4(fds_.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!fd) {
    const bool nobody = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    if (!nobody) accept_later();
    return;
  }
  const bool other = is_of_other_user(fd);
  const auto others = static_cast<size_t>(std::count_if(
      clients_.begin(), clients_.end(), [](const Client& each) { return each.other_user; }));
  const bool too_many_others = other && others >= kMaxGroupClients;
  if ((!too_many_others && clients_.size() < kMaxClients) || make_room(too_many_others)) {
    // Without memory for the poll, the client is disconnected.
    if (!control(EPOLL_CTL_ADD, fd, EPOLLIN)) return;
    clients_.emplace_back(std::move(fd), service_, other).patience =
        Clock::now() + access_.max_silence;
    return;
  }
  // The refusal fits into the buffer of a new socket, so the send does not block.
  const std::string refusal =
      InspectService::refusal(
          {.code = EAGAIN,
           .operation = "accept another client",
           .cause = too_many_others
                        ? fmt::format("{} clients of other users are connected already", others)
                        : fmt::format("{} clients are connected already", kMaxClients),
           .advice = "End one of them, for example a 'passthru msix watch'"}) +
      '\n';
  static_cast<void>(::send(fd.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL));
}

bool InspectServer::is_of_other_user(const Fd& connection) const {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(connection.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return true;
  return peer.uid != 0 && peer.uid != user_;
}

// Disconnects the client that has been idle for longest, of all clients or of those of other users.
// Returns false if no client may be disconnected.
bool InspectServer::make_room(bool of_other_users) {
  const auto idle_since = Clock::now() - access_.min_idle;
  auto longest = clients_.end();
  for (auto client = clients_.begin(); client != clients_.end(); ++client) {
    const bool idle = client->out.empty() && client->asked_at <= idle_since;
    if (!idle || client->session.watches_anything()) continue;
    if (of_other_users && !client->other_user) continue;
    if (longest == clients_.end() || client->asked_at < longest->asked_at) longest = client;
  }
  if (longest == clients_.end()) return false;
  disconnect(longest);
  return true;
}

// The client keeps waiting, and the listener stays readable: without a pause, the loop would spin.
void InspectServer::accept_later() {
  accept_at_ = Clock::now() + kAfterRefusal;
  ignore(control(EPOLL_CTL_MOD, fds_.listener, 0), "then the loop tries at once");
}

// Returns false if the client must be disconnected.
bool InspectServer::serve(Client& client) const {
  const bool sends = !client.out.empty();
  if (!(sends ? send(client) : receive(client))) return false;
  if (client.out.empty() != sends) return true;
  return control(EPOLL_CTL_MOD, client.fd, sends ? EPOLLIN : EPOLLOUT).has_value();
}

bool InspectServer::receive(Client& client) {
  std::array<char, 1024> bytes{};
  const ssize_t got = ::recv(client.fd.get(), bytes.data(), bytes.size(), 0);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  if (got == 0) return false;
  client.in.append(bytes.data(), static_cast<size_t>(got));
  const size_t end = client.in.find('\n');
  if (std::min(end, client.in.size()) > InspectService::kMaxRequest) return false;
  if (end == client.in.npos) return true;
  // One request at a time: a request that arrives before the answer to this request is lost.
  client.out = client.session.answer(std::string_view(client.in).substr(0, end)) + '\n';
  client.in.clear();
  client.sent = 0;
  client.asked_at = Clock::now();
  client.patience = client.asked_at + kMaxPatience;
  return send(client);
}

bool InspectServer::send(Client& client) {
  const auto left = std::string_view(client.out).substr(client.sent);
  const ssize_t sent = ::send(client.fd.get(), left.data(), left.size(), MSG_NOSIGNAL);
  if (sent < 0) return errno == EAGAIN || errno == EINTR;
  client.sent += static_cast<size_t>(sent);
  if (client.sent < client.out.size()) return true;
  client.out.clear();
  client.patience.reset();
  return true;
}

// A child process may have a copy of the descriptor, so closing it does not end the poll.
InspectServer::Clients::iterator InspectServer::disconnect(Clients::iterator client) {
  ignore(control(EPOLL_CTL_DEL, client->fd, 0), "the client is in the poll");
  return clients_.erase(client);
}

void InspectServer::act_on_time() {
  const auto now = Clock::now();
  for (auto client = clients_.begin(); client != clients_.end();) {
    const bool over = client->patience && now >= *client->patience;
    client = over ? disconnect(client) : std::next(client);
  }
  if (!accept_at_ || now < *accept_at_) return;
  accept_at_.reset();
  if (!control(EPOLL_CTL_MOD, fds_.listener, EPOLLIN)) accept_later();
}

void InspectServer::program_timer() {
  std::optional<Clock::time_point> due = accept_at_;
  for (const Client& client : clients_) {
    if (client.patience) due = std::min(due.value_or(*client.patience), *client.patience);
  }
  if (due == due_) return;
  due_ = due;
  set_timer(fds_.timer, due);
}

}  // namespace passthru
