// SPDX-License-Identifier: MIT
// Owns the lines on the socket, and where sockets are looked for.
#include "tools/vmm_client.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <system_error>

#include "host/inspect_server.h"
#include "host/inspection_json.h"
#include "tools/commands.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;

constexpr timeval kPatience{.tv_sec = 10, .tv_usec = 0};
// 31 devices of 2,048 vectors each are some 40 MiB.
constexpr size_t kLongestAnswer = size_t{256} << 20;

Error no_answer(const std::string& socket, int code, std::string cause) {
  return Error{.code = code, .operation = "ask the VMM at " + socket}
      .because(std::move(cause))
      .advise("Look whether it still runs");
}

void add_sockets(const fs::path& directory, std::vector<fs::path>& sockets) {
  std::error_code error;
  for (fs::directory_iterator at(directory, error), end; !error && at != end; at.increment(error)) {
    sockets.push_back(at->path());
  }
}

std::vector<fs::path> sockets_to_try() {
  std::vector<fs::path> sockets;
  if (const fs::path directory = inspect_directory(); !directory.empty()) {
    add_sockets(directory, sockets);
  }
  std::sort(sockets.begin(), sockets.end());
  return sockets;
}

// ENODEV: it does not.
Result<void> has(VmmClient& client, Bdf device) {
  const Json answer = PASSTHRU_TRY(client.ask({{"request", "list"}}));
  const Json devices = answer.value("devices", Json::array());
  if (std::find(devices.begin(), devices.end(), Json(device.str())) != devices.end()) return {};
  return tl::unexpected(Error{
      .code = ENODEV, .operation = "ask the VMM at " + client.socket(), .device = device.str()}
                            .because("this VM does not have it"));
}

}  // namespace

Result<VmmClient> VmmClient::connect(const fs::path& socket) {
  const std::string operation = "connect to the VMM at " + socket.string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof(address.sun_path)) return fail(ENAMETOOLONG, operation);
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno, "socket");
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return tl::unexpected(Error{.code = errno, .operation = operation}.advise(
        "Start the guest with 'passthru run --inspect', or name its socket with --socket"));
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail(errno, "getsockopt SO_PEERCRED");
  }
  return VmmClient(std::move(fd), socket.string(), peer.pid);
}

Result<std::string> VmmClient::receive() {
  std::string line;
  std::array<char, 65536> bytes{};
  for (;;) {
    const ssize_t got = ::recv(fd_.get(), bytes.data(), bytes.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0 && errno == EAGAIN) {
      return tl::unexpected(no_answer(socket_, ETIMEDOUT, "it does not answer"));
    }
    if (got < 0) return fail(errno, "recv");
    if (got == 0) return tl::unexpected(no_answer(socket_, EPIPE, "it has hung up"));
    line.append(bytes.data(), static_cast<size_t>(got));
    if (line.back() == '\n') return line;
    if (line.size() > kLongestAnswer) {
      return tl::unexpected(no_answer(socket_, EPROTO, "its answer has no end"));
    }
  }
}

Result<Json> VmmClient::ask(const Json& request) {
  const std::string text = request.dump() + '\n';
  if (::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL) !=
      static_cast<ssize_t>(text.size())) {
    return tl::unexpected(no_answer(socket_, errno, "it has hung up"));
  }
  const std::string line = PASSTHRU_TRY(receive());
  Json answer = Json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() || answer.value("version", Json()) != InspectService::kVersion) {
    return tl::unexpected(no_answer(socket_, EPROTO, "it is of another version"));
  }
  const auto error = answer.find("error");
  if (error == answer.end()) return answer;
  const Json code = answer.value("errno", Json(EIO));
  return tl::unexpected(
      Error{.code = code.is_number_integer() ? code.get<int>() : EIO,
            .operation = error->is_string() ? error->get<std::string>() : error->dump()});
}

Result<std::vector<Inspection>> VmmClient::inspect(std::optional<Bdf> device) {
  Json request = {{"request", "inspect"}};
  if (device) request["device"] = device->str();
  const Json answer = PASSTHRU_TRY(ask(request));
  try {
    return answer.at("devices").get<std::vector<Inspection>>();
  } catch (const Json::exception& error) {
    return tl::unexpected(no_answer(socket_, EPROTO, error.what()));
  }
}

std::vector<VmmClient> all_vmms() {
  std::vector<VmmClient> clients;
  for (const fs::path& socket : sockets_to_try()) {
    // What a process left behind that was killed refuses; it tells nothing.
    if (auto client = VmmClient::connect(socket)) clients.push_back(std::move(*client));
  }
  return clients;
}

Result<std::optional<VmmClient>> find_vmm(Bdf device, const std::string& socket) {
  if (!socket.empty()) {
    auto client = PASSTHRU_TRY(VmmClient::connect(socket));
    PASSTHRU_TRY(has(client, device));
    return std::optional(std::move(client));
  }
  for (VmmClient& client : all_vmms()) {
    const auto answer = has(client, device);
    if (answer) return std::optional(std::move(client));
    // One that does not answer may be the one.
    if (answer.error().code != ENODEV) {
      say(fmt::format("passthru: {}\n", answer.error().message()));
    }
  }
  return std::optional<VmmClient>();
}

Result<VmmClient> need_vmm(Bdf device, const std::string& socket) {
  auto client = PASSTHRU_TRY(find_vmm(device, socket));
  if (client) return std::move(*client);
  return tl::unexpected(
      Error{.code = ENODEV, .operation = "ask the VMM that has it", .device = device.str()}
          .because("no VMM that lets itself be asked has it")
          .advise("Start its guest with 'passthru run --inspect', or name the VMM's socket with "
                  "--socket"));
}

}  // namespace passthru::tools
