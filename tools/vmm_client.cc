// SPDX-License-Identifier: MIT
// The lines on the socket.
#include "tools/vmm_client.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <utility>

#include "tools/terminal.h"
#include "tools/user_names.h"
#include "tools/vmm_answer.h"

namespace passthru::tools {
namespace {

constexpr std::chrono::milliseconds kAfterStop{1000};  // for the answer, once Ctrl-C was pressed
constexpr std::chrono::milliseconds kStopLook{100};    // between two looks at the StopFlag
constexpr int kMaxErrno = 4095;

Error no_answer(const std::string& socket, int code, std::string cause) {
  return Error{.code = code, .operation = "ask the VMM at " + socket}
      .because(std::move(cause))
      .advise(code == EPROTO ? "Check whether the VMM is of another version"
                             : "Check whether the VMM still runs");
}

const char* advice_for(int code) {
  if (code == EACCES) return "Run the command as the user of the VMM, or with sudo";
  if (code == ECONNREFUSED) return "The VMM that made the socket has ended. Remove the socket";
  return "Start the guest with 'passthru run --inspect', or name its socket with --socket";
}

// The kernel refuses a connection to another kind of file too.
Error not_connected(const std::filesystem::path& socket, int code, const std::string& operation) {
  std::error_code unknown;
  if (code != ECONNREFUSED || std::filesystem::is_socket(socket, unknown) || unknown)
    return Error{.code = code, .operation = operation}.advise(advice_for(code));
  return Error{.code = code, .operation = operation}
      .because("it is not a socket")
      .advise("Name the inspect socket of a VMM");
}

// The claims of a VMM could deceive root, so root asks another user's VMM only if told to.
Result<void> check_owner_of(const std::string& socket, uid_t owner, std::optional<uid_t> named) {
  const bool wanted = named ? owner == *named : owner == ::geteuid() || ::geteuid() != 0;
  if (wanted) return {};
  const std::string user = user_text(owner);
  return tl::unexpected(
      Error{.code = EPERM, .operation = "ask the VMM at " + socket}
          .because(fmt::format("it belongs to user {}, whose VMM can answer anything", user))
          .advise(fmt::format("If you want to ask it, add --socket and --socket-user {}", user)));
}

}  // namespace

Result<VmmClient> VmmClient::connect(const std::filesystem::path& socket,
                                     std::chrono::milliseconds patience,
                                     std::optional<uid_t> user) {
  const std::string operation = "connect to the VMM at " + socket.string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof(address.sun_path)) return fail(ENAMETOOLONG, operation);
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  VmmClient client(Fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)), socket.string(), patience);
  const int fd = client.fd_.get();
  if (fd < 0) return fail(errno, "create a socket");
  const timeval timeout{.tv_sec = patience.count() / 1000,
                        .tv_usec = patience.count() % 1000 * 1000};
  ::setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  const auto begin = Clock::now();
  if (::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    // The VMM exists, and its queue of connections is full.
    if (errno == EAGAIN) return tl::unexpected(no_answer(socket, ETIMEDOUT, "it does not answer"));
    return tl::unexpected(not_connected(socket, errno, operation));
  }
  client.left_ -= std::chrono::floor<std::chrono::milliseconds>(Clock::now() - begin);
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail(errno, "read the VMM's process id");
  }
  client.pid_ = peer.pid;
  client.user_ = peer.uid;
  PASSTHRU_TRY(check_owner_of(client.socket_, peer.uid, user));
  return client;
}

Error VmmClient::not_understood(std::string cause) const {
  return no_answer(socket_, EPROTO, std::move(cause));
}

Result<std::string> VmmClient::receive() {
  using std::chrono::milliseconds;
  std::string line;
  std::array<char, 65536> bytes{};
  // The deadline is for the whole answer: single bytes do not extend it.
  auto deadline = Clock::now() + left_;
  bool stopped = false;
  for (;;) {
    if (StopFlag::is_set() && !std::exchange(stopped, true)) {
      deadline = std::min(deadline, Clock::now() + kAfterStop);
    }
    const auto left = std::chrono::ceil<milliseconds>(deadline - Clock::now());
    if (left.count() <= 0)
      return tl::unexpected(no_answer(socket_, ETIMEDOUT, "it does not answer"));
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    if (::poll(&ready, 1, static_cast<int>(std::min(left, kStopLook).count())) == 0) continue;
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail(errno, "read the answer of the VMM at " + socket_);
    if (got == 0) return tl::unexpected(no_answer(socket_, EPIPE, "it closed the connection"));
    line.append(bytes.data(), static_cast<size_t>(got));
    if (line.size() > AnswerLimits::kBytes)
      return tl::unexpected(not_understood("its answer is too long"));
    if (line.back() == '\n') return line;
  }
}

Result<nlohmann::json> VmmClient::exchange(const nlohmann::json& request) {
  const std::string text = request.dump() + '\n';
  // A VMM that closes the connection at once may have sent an error before.
  const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(text.size()) && (sent >= 0 || errno != EPIPE)) {
    return tl::unexpected(
        no_answer(socket_, sent < 0 ? errno : EIO, "it does not accept the request"));
  }
  auto answer = parse_answer(PASSTHRU_TRY(receive()));
  if (!answer) return tl::unexpected(not_understood(answer.error().cause));
  return answer;
}

Result<nlohmann::json> VmmClient::ask(const nlohmann::json& request) {
  const auto begin = Clock::now();
  auto answer = exchange(request);
  left_ -= std::chrono::ceil<std::chrono::milliseconds>(Clock::now() - begin);
  if (!answer) return answer;
  const auto error = answer->find("error");
  if (error == answer->end()) return answer;
  const auto code = PASSTHRU_TRY(member<int64_t>(*answer, "errno", EIO));
  return tl::unexpected(
      Error{.code = code > 0 && code <= kMaxErrno ? static_cast<int>(code) : EIO,
            .operation = "ask the VMM at " + socket_,
            .cause = error->is_string() ? error->get<std::string>() : "its error is not a text"});
}

Result<std::vector<Inspection>> VmmClient::inspect(std::optional<Bdf> device) {
  nlohmann::json request = {{"request", "inspect"}};
  if (device) request["device"] = device->str();
  const auto answer = PASSTHRU_TRY(ask(request));
  const auto others = [&] {
    return tl::unexpected(not_understood("it answers for other devices"));
  };
  // Before the conversion: a vector needs more memory than its JSON.
  const auto devices = answer.find("devices");
  const bool are_listed = devices != answer.end() && devices->is_array();
  if (device && are_listed && devices->size() != 1) return others();
  auto inspections = inspections_in(answer);
  if (!inspections) return tl::unexpected(not_understood(inspections.error().cause));
  if (device && inspections->front().device != *device) return others();
  return inspections;
}

}  // namespace passthru::tools
