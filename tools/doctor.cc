// SPDX-License-Identifier: MIT
// `passthru doctor`: the requirements of device assignment on this machine, and how to meet the
// missing requirements.
#include <unistd.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/small_file.h"
#include "irq/forward/edge_poller.h"
#include "kvm/kvm_check.h"
#include "prepare/attach_trial.h"
#include "prepare/host_checks.h"
#include "prepare/ring_check.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/doctor_text.h"
#include "tools/json.h"
#include "tools/terminal.h"
#include "vfio/linux_kernel.h"

namespace passthru::tools {
namespace {

constexpr const char* kDoctorFooter =
    "Prints a line per check, the worst first: 'no', required and missing;\n"
    "'warn', missing but optional; '-', unknown; 'ok'. Then it prints how to fix\n"
    "each cause, with each command on a line of its own. The last line says\n"
    "whether the device can be assigned, and why not. With DEVICE, checks whether\n"
    "a guest can get this device now. If nothing is missing, it opens the nodes\n"
    "of the device and maps a page for DMA, as 'run' does, and closes them.\n"
    "Changes nothing, and does not open the device itself, because that would\n"
    "reset it. Results apply to the calling user: for a guest that does not run\n"
    "as root, check without sudo.\n"
    "\n"
    "Exit status: 0 all requirements are met, 1 a requirement is missing.\n"
    "\n"
    "Examples:\n"
    "  passthru doctor\n"
    "  sudo passthru doctor 0000:01:00.0\n"
    "  passthru doctor --json |\n"
    "    jq -r '.checks[] | select(.answer == \"no\") | .commands[]'";

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
  if (facts && *facts && (*facts)->function.on_vfio && is_ready(checks)) {
    LinuxKernel kernel;
    checks.push_back(
        check_attach(try_attach(kernel, roots, **facts, opens_by_node(host, **facts))));
  }
  return checks;
}

Json to_json(const HostCheck& check) {
  return {{"name", check.name},
          {"answer", to_string(check.answer)},
          {"what", check.what},
          {"remedy", json_or_null(remedy_text(check))},
          {"commands", check.commands}};
}

int doctor(const std::optional<Bdf>& device, bool as_json) {
  const std::vector<HostCheck> checks = all_checks(device);
  const bool ready = is_ready(checks);
  if (as_json) {
    Json lines = Json::array();
    for (const HostCheck& check : checks) lines.push_back(to_json(check));
    print_json({{"device", device ? Json(device->str()) : Json()},
                {"ready", ready},
                {"conclusion", conclusion(checks, device)},
                {"checks", lines}});
  } else {
    print_text(doctor_text(checks, device, {terminal_columns(), ::geteuid() == 0}));
  }
  return ready ? kDone : kNo;
}

}  // namespace

CLI::App* add_doctor(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("doctor", "Check what this machine lacks for device assignment");
  const auto word = std::make_shared<std::string>();
  const auto json = std::make_shared<bool>(false);
  const CLI::Option* named =
      command
          ->add_option("DEVICE", *word,
                       std::string(kDeviceHelp) + " (default: check the machine only)")
          ->type_name("");
  command->add_flag("--json", *json, kJsonHelp);
  command->footer(kDoctorFooter);
  command->callback([named, word, json, &status] {
    std::optional<Bdf> device;
    if (named->count() != 0) {  // also by an empty word, from an empty shell variable
      const auto parsed = device_of(Sysfs(), *word);
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
