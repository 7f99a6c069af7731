// SPDX-License-Identifier: MIT
// The lines on the socket, and the search for sockets.
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
#include <system_error>

#include "inspect/inspect_server.h"
#include "inspect/inspection_json.h"
#include "tools/commands.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

namespace fs = std::filesystem;

// 31 devices of 2,048 vectors each are some 40 MiB.
constexpr size_t kMaxAnswer = size_t{256} << 20;

Error no_answer(const std::string& socket, int code, std::string cause) {
  return Error{.code = code, .operation = "ask the VMM at " + socket}
      .because(std::move(cause))
      .advise(code == EPROTO ? "Check whether the VMM is of another version"
                             : "Check whether the VMM still runs");
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

Result<std::vector<Bdf>> devices_of(VmmClient& client) {
  const nlohmann::json answer = PASSTHRU_TRY(client.ask({{"request", "list"}}));
  std::vector<Bdf> devices;
  for (const nlohmann::json& name : answer.value("devices", nlohmann::json::array())) {
    if (!name.is_string()) continue;
    if (const auto bdf = Bdf::parse(name.get<std::string>())) devices.push_back(*bdf);
  }
  return devices;
}

bool contains(const std::vector<Bdf>& devices, Bdf device) {
  return std::find(devices.begin(), devices.end(), device) != devices.end();
}

// Reports a VMM that does not answer: it may have the device.
std::optional<std::vector<Bdf>> devices_if_it_answers(VmmClient& client) {
  auto devices = devices_of(client);
  if (devices) return std::move(*devices);
  say(fmt::format("passthru: {}\n", devices.error().message()));
  return std::nullopt;
}

// Replaces values that are nested deeper than any answer by null, which bounds the recursion.
void make_printable(nlohmann::json& json, unsigned levels = 16) {
  if (json.is_string()) json = printable(json.get_ref<const std::string&>());
  if (!json.is_structured()) return;
  if (levels == 0) {
    json = nullptr;
    return;
  }
  for (nlohmann::json& each : json) make_printable(each, levels - 1);
}

}  // namespace

Result<VmmClient> VmmClient::connect(const fs::path& socket, std::chrono::milliseconds patience) {
  const std::string operation = "connect to the VMM at " + socket.string();
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (socket.native().size() >= sizeof(address.sun_path)) return fail(ENAMETOOLONG, operation);
  std::memcpy(address.sun_path, socket.c_str(), socket.native().size());
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return fail(errno, "create a socket");
  const timeval timeout{.tv_sec = patience.count() / 1000,
                        .tv_usec = patience.count() % 1000 * 1000};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
  if (::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    // The VMM exists, and its queue of connections is full.
    if (errno == EAGAIN) return tl::unexpected(no_answer(socket, ETIMEDOUT, "it does not answer"));
    return tl::unexpected(Error{.code = errno, .operation = operation}.advise(
        "Start the guest with 'passthru run --inspect', or name its socket with --socket"));
  }
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return fail(errno, "read the VMM's process id");
  }
  return VmmClient(std::move(fd), socket.string(), peer.pid, patience);
}

Result<std::string> VmmClient::receive() {
  std::string line;
  std::array<char, 65536> bytes{};
  // The deadline is for the whole answer: single bytes do not extend it.
  const auto deadline = std::chrono::steady_clock::now() + patience_;
  for (;;) {
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
    pollfd ready{.fd = fd_.get(), .events = POLLIN, .revents = 0};
    const int polled = left.count() > 0 ? ::poll(&ready, 1, static_cast<int>(left.count())) : 0;
    if (polled == 0) return tl::unexpected(no_answer(socket_, ETIMEDOUT, "it does not answer"));
    const ssize_t got =
        polled < 0 ? -1 : ::recv(fd_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return fail(errno, "read the VMM's answer");
    if (got == 0) return tl::unexpected(no_answer(socket_, EPIPE, "it closed the connection"));
    line.append(bytes.data(), static_cast<size_t>(got));
    if (line.back() == '\n') return line;
    if (line.size() > kMaxAnswer) {
      return tl::unexpected(no_answer(socket_, EPROTO, "its answer is too long"));
    }
  }
}

Result<nlohmann::json> VmmClient::ask(const nlohmann::json& request) {
  const std::string text = request.dump() + '\n';
  // A VMM that closes the connection at once may have sent an error before.
  const ssize_t sent = ::send(fd_.get(), text.data(), text.size(), MSG_NOSIGNAL);
  if (sent != static_cast<ssize_t>(text.size()) && (sent >= 0 || errno != EPIPE)) {
    return tl::unexpected(
        no_answer(socket_, sent < 0 ? errno : EIO, "it does not accept the request"));
  }
  const std::string line = PASSTHRU_TRY(receive());
  nlohmann::json answer = nlohmann::json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (!answer.is_object() ||
      answer.value("version", nlohmann::json()) != InspectService::kVersion) {
    return tl::unexpected(no_answer(socket_, EPROTO, "its answer is not of this version"));
  }
  make_printable(answer);
  const auto error = answer.find("error");
  if (error == answer.end()) return answer;
  const nlohmann::json code = answer.value("errno", nlohmann::json(EIO));
  return tl::unexpected(
      Error{.code = code.is_number_integer() ? code.get<int>() : EIO,
            .operation = "ask the VMM at " + socket_,
            .cause = error->is_string() ? error->get<std::string>() : error->dump()});
}

Result<std::vector<Inspection>> VmmClient::inspect(std::optional<Bdf> device) {
  nlohmann::json request = {{"request", "inspect"}};
  if (device) request["device"] = device->str();
  const nlohmann::json answer = PASSTHRU_TRY(ask(request));
  try {
    return answer.at("devices").get<std::vector<Inspection>>();
  } catch (const nlohmann::json::exception& error) {
    return tl::unexpected(no_answer(socket_, EPROTO, error.what()));
  }
}

std::vector<VmmClient> all_vmms(bool& silent) {
  std::vector<VmmClient> clients;
  for (const fs::path& socket : sockets_to_try()) {
    auto client = VmmClient::connect(socket);
    if (client) {
      clients.push_back(std::move(*client));
    } else if (const int code = client.error().code; code != ECONNREFUSED && code != ENOENT) {
      say(fmt::format("passthru: {}\n", client.error().message()));
      silent = true;
    }
  }
  return clients;
}

VmmClient* KnownVmms::of(Bdf device) {
  const auto found = std::find_if(all.begin(), all.end(),
                                  [&](const One& each) { return contains(each.devices, device); });
  return found == all.end() ? nullptr : &found->client;
}

Error does_not_have(const std::string& socket, Bdf device) {
  return Error{.code = ENODEV, .operation = "ask the VMM at " + socket, .device = device.str()}
      .because("this VM does not have the device");
}

Result<KnownVmms> known_vmms(const std::string& socket) {
  KnownVmms known;
  if (!socket.empty()) {
    auto client = PASSTHRU_TRY(VmmClient::connect(socket));
    auto devices = PASSTHRU_TRY(devices_of(client));
    known.all.push_back({std::move(client), std::move(devices)});
    return known;
  }
  for (VmmClient& client : all_vmms(known.silent)) {
    if (auto devices = devices_if_it_answers(client)) {
      known.all.push_back({std::move(client), std::move(*devices)});
    } else {
      known.silent = true;
    }
  }
  return known;
}

Result<std::optional<VmmClient>> find_vmm(Bdf device, const std::string& socket) {
  if (!socket.empty()) {
    auto client = PASSTHRU_TRY(VmmClient::connect(socket));
    if (contains(PASSTHRU_TRY(devices_of(client)), device)) return std::optional(std::move(client));
    return tl::unexpected(does_not_have(socket, device));
  }
  bool silent = false;  // reported already; another VMM may have the device
  for (VmmClient& client : all_vmms(silent)) {
    const auto devices = devices_if_it_answers(client);
    if (devices && contains(*devices, device)) return std::optional(std::move(client));
  }
  return std::optional<VmmClient>();
}

Result<VmmClient> need_vmm(Bdf device, const std::string& socket) {
  auto client = PASSTHRU_TRY(find_vmm(device, socket));
  if (client) return std::move(*client);
  return tl::unexpected(
      Error{.code = ENODEV, .operation = "find its VMM", .device = device.str()}
          .because("no VMM with an inspect socket has it")
          .advise("Start its guest with 'passthru run --inspect', or name the VMM's socket with "
                  "--socket"));
}

}  // namespace passthru::tools
