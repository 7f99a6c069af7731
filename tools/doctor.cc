// SPDX-License-Identifier: MIT
// Owns `passthru doctor`: what this machine has of all that assigning a device needs, and what
// mends what is missing.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/small_file.h"
#include "irq/forward/edge_poller.h"
#include "kvm/kvm_check.h"
#include "prepare/host_checks.h"
#include "prepare/ring_check.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/printable.h"
#include "tools/terminal.h"

namespace passthru::tools {
namespace {

constexpr const char* kDoctorFooter =
    "One line a check: 'ok'; 'no', it is needed and missing; 'warn', it works without; '-', it "
    "cannot be told.\n"
    "What mends it follows. With DEVICE also whether that one can be given to a guest now. Nothing "
    "is changed,\n"
    "and the device is not opened, which would reset it. The answers are those for who asks: a "
    "guest that does\n"
    "not run as root needs the same without sudo.\n"
    "\n"
    "Exit status: 0 all that is needed is there, 3 something is missing.\n"
    "\n"
    "Examples:\n"
    "  passthru doctor\n"
    "  sudo passthru doctor 0000:01:00.0\n"
    "  passthru doctor --json | jq -r '.checks[] | select(.answer == \"no\") | .remedy'";

Result<void> try_ring() {
  const auto poller = make_uring_poller(1);
  return poller ? Result<void>() : Result<void>(tl::unexpected(poller.error()));
}

std::vector<HostCheck> all_checks(const std::optional<Bdf>& device) {
  const HostRoots roots;
  const HostFacts host = host_facts(roots);
  std::optional<Result<DeviceFacts>> facts;
  if (device) facts.emplace(device_facts(roots, *device));
  std::vector<HostCheck> checks = check_host(host, facts && *facts ? &**facts : nullptr);
  checks.push_back(check_kvm(kvm_limits_of_host()));
  checks.push_back(check_ring(try_ring(), first_line(roots.proc / "sys/kernel/io_uring_disabled")));
  if (facts) {
    const std::vector<HostCheck> its = check_device(*facts, host);
    checks.insert(checks.end(), its.begin(), its.end());
  }
  return checks;
}

Json to_json(const HostCheck& check) {
  return {{"name", check.name},
          {"answer", to_string(check.answer)},
          {"what", check.what},
          {"remedy", json_or_null(check.remedy)}};
}

void print_line(const HostCheck& check) {
  const bool unknown = check.answer == Answer::Unknown;
  const std::string line =
      fmt::format("{:<4}  {:<19}  {}{}{}", unknown ? "-" : to_string(check.answer), check.name,
                  check.what, check.remedy.empty() ? "" : ". ", check.remedy);
  constexpr size_t kIndent = 27;  // of what is said of a check
  // One line for a pipe, where somebody may look for one.
  const auto lines = terminal_columns() ? wrapped(printable(line), *terminal_columns(), kIndent)
                                        : std::vector{line};
  for (const std::string& each : lines) fmt::print("{}\n", each);
}

int doctor(const std::optional<Bdf>& device, bool as_json) {
  const std::vector<HostCheck> checks = all_checks(device);
  const bool ready = is_ready(checks);
  if (as_json) {
    Json lines = Json::array();
    for (const HostCheck& check : checks) lines.push_back(to_json(check));
    print_json(
        {{"device", device ? Json(device->str()) : Json()}, {"ready", ready}, {"checks", lines}});
  } else {
    for (const HostCheck& check : checks) print_line(check);
  }
  return ready ? kDone : kRefused;
}

}  // namespace

CLI::App* add_doctor(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("doctor", "Say what this machine lacks for assigning devices");
  const auto word = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  const CLI::Option* named =
      command->add_option("DEVICE", *word, "A PCI address, as 'passthru list' shows it")
          ->type_name("");
  command->add_flag("--json", *json, kJsonHelp);
  command->footer(kDoctorFooter);
  command->callback([named, word, json, &status] {
    std::optional<Bdf> device;
    if (named->count() != 0) {  // also an empty word, of a script without its device
      const auto parsed = Bdf::parse(*word);
      if (!parsed) {
        status = wrong_usage(parsed.error());
        return;
      }
      device = *parsed;
    }
    status = doctor(device, *json);
  });
  return command;
}

}  // namespace passthru::tools
