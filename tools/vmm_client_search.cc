// SPDX-License-Identifier: MIT
// The search for sockets, and for the VMM that has a device.
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/small_file.h"
#include "inspect/inspect_socket.h"
#include "tools/commands.h"
#include "tools/user_names.h"
#include "tools/vmm_client.h"

namespace passthru::tools {
namespace {

std::vector<std::filesystem::path> sockets_to_try() {
  const std::filesystem::path directory = inspect_directory();
  std::vector<std::filesystem::path> sockets;
  if (directory.empty()) return sockets;
  for (const std::string& name : names_in(directory).value_or(std::vector<std::string>())) {
    sockets.push_back(directory / name);
  }
  return sockets;
}

Result<std::vector<Bdf>> devices_of(VmmClient& client) {
  const nlohmann::json answer = PASSTHRU_TRY(client.ask({{"request", "list"}}));
  const auto names = answer.find("devices");
  std::vector<Bdf> devices;
  if (names == answer.end() || !names->is_array()) return devices;
  for (const nlohmann::json& name : *names) {
    if (!name.is_string()) continue;
    if (const auto bdf = Bdf::parse(name.get<std::string>())) devices.push_back(*bdf);
  }
  return devices;
}

bool contains(const std::vector<Bdf>& devices, Bdf device) {
  return std::find(devices.begin(), devices.end(), device) != devices.end();
}

Result<KnownVmms::One> asked(const std::filesystem::path& socket, std::optional<uid_t> user) {
  auto client = PASSTHRU_TRY(VmmClient::connect(socket, VmmClient::kPatience, user));
  auto devices = PASSTHRU_TRY(devices_of(client));
  return KnownVmms::One{std::move(client), std::move(devices)};
}

// Asks a VMM of the search. Reports a VMM that does not answer, because it may have the device, and
// then sets `silent`. Connects only now: a VMM disconnects a client that asks nothing for long.
std::optional<KnownVmms::One> asked_if_it_answers(const std::filesystem::path& socket,
                                                  bool& silent) {
  auto one = asked(socket, ::geteuid());
  if (one) return std::move(*one);
  const int code = one.error().code;
  // A VMM that was killed leaves its socket behind.
  if (code == ECONNREFUSED || code == ENOENT) return std::nullopt;
  say(error_line(one.error()));
  silent = true;
  return std::nullopt;
}

}  // namespace

void add_socket_options(CLI::App& command, VmmChoice& choice) {
  CLI::Option* const socket =
      command
          .add_option("--socket", choice.socket,
                      "Inspect socket of the VMM (default: search the sockets of 'passthru run "
                      "--inspect')")
          ->type_name("PATH");
  const auto take_user = [&choice](const std::string& word) {
    choice.user = user_of(word);
    if (!choice.user) {
      throw CLI::ValidationError("--socket-user", fmt::format("'{}' is not a user", word));
    }
  };
  command
      .add_option_function<std::string>(
          "--socket-user", take_user,
          "User that the socket must belong to. Root needs it for a socket of another user, whose "
          "VMM can answer anything")
      ->type_name("USER")
      ->needs(socket);
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

Result<KnownVmms> known_vmms(const VmmChoice& choice) {
  KnownVmms known;
  if (!choice.socket.empty()) {
    known.all.push_back(PASSTHRU_TRY(asked(choice.socket, choice.user)));
    return known;
  }
  for (const std::filesystem::path& socket : sockets_to_try()) {
    if (auto one = asked_if_it_answers(socket, known.silent)) known.all.push_back(std::move(*one));
  }
  return known;
}

Result<std::optional<VmmClient>> find_vmm(Bdf device, const VmmChoice& choice) {
  if (!choice.socket.empty()) {
    auto one = PASSTHRU_TRY(asked(choice.socket, choice.user));
    if (contains(one.devices, device)) return std::optional(std::move(one.client));
    return tl::unexpected(does_not_have(choice.socket, device));
  }
  bool silent = false;  // reported already; another VMM may have the device
  for (const std::filesystem::path& socket : sockets_to_try()) {
    auto one = asked_if_it_answers(socket, silent);
    if (one && contains(one->devices, device)) return std::optional(std::move(one->client));
  }
  return std::optional<VmmClient>();
}

Result<VmmClient> need_vmm(Bdf device, const VmmChoice& choice) {
  auto client = PASSTHRU_TRY(find_vmm(device, choice));
  if (client) return std::move(*client);
  return tl::unexpected(
      Error{.code = ENODEV, .operation = "find its VMM", .device = device.str()}
          .because("no VMM with an inspect socket has it")
          .advise("Start its guest with 'passthru run --inspect', or name the VMM's socket with "
                  "--socket"));
}

}  // namespace passthru::tools
