// SPDX-License-Identifier: MIT
// Owns `passthru msix audit`: whether any vector is damaged, for a person, for scripts by its exit
// status, for a monitoring system as metrics; and the healing of what a VMM can heal.
#include <fmt/format.h>

#include <memory>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/json.h"
#include "tools/msix/msix_commands.h"
#include "tools/msix/msix_metrics.h"
#include "tools/msix/msix_view.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsixAuditFooter =
    "Looks at what 'passthru msix show' shows and tells what is damaged. Devices that nobody uses "
    "are left alone.\n"
    "--all takes those with interrupts of the host, and those that a VMM with an inspect socket "
    "has.\n"
    "--heal has the VMM restore what is damaged, and looks again; a device that no VMM with an "
    "inspect socket has\n"
    "can only be told of. Exit status: 0 nothing is damaged (any more), 1 something is,\n"
    "3 a device could not be looked at, or a VMM does not answer. A device's own table that cannot "
    "be seen is told\n"
    "as 'not seen', and is no failure.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru msix audit --all\n"
    "  sudo passthru msix audit 0000:01:00.0 --heal\n"
    "  cd /var/lib/node_exporter/textfile\n"
    "  sudo passthru msix audit --all --format=prometheus > .new; [ $? -le 1 ] && mv .new "
    "passthru.prom";

struct AuditOptions {
  std::vector<std::string> devices{};
  std::string socket{};
  std::string format = "text";
  bool all = false;
  bool heal = false;
};

Result<RestoredView> audit(const Sysfs& sysfs, Bdf bdf, KnownVmms& vmms,
                           const AuditOptions& options) {
  VmmClient* const client = vmms.of(bdf);
  if (client == nullptr && !options.socket.empty() && !options.all) {
    return tl::unexpected(does_not_have(options.socket, bdf));
  }
  MsixView view = PASSTHRU_TRY(look_at_msix(sysfs, bdf, client, Idle::Leave));
  if (!options.heal || client == nullptr || !view.damaged()) return RestoredView{std::move(view)};
  return restore_msix(sysfs, *client, std::move(view));
}

// Those that can be damaged: with interrupts of the host now, or that should have them.
Result<std::vector<Bdf>> used_devices(const Sysfs& sysfs, KnownVmms& vmms) {
  std::vector<Bdf> used;
  for (const Bdf bdf : PASSTHRU_TRY(sysfs.functions())) {
    if (vmms.of(bdf) != nullptr || !host_interrupts(sysfs, bdf).empty()) used.push_back(bdf);
  }
  return used;
}

std::string text_of(const RestoredView& audited) {
  const MsixView& view = audited.view;
  const std::string device = view.function.bdf.str();
  std::string text;
  size_t used = 0;
  for (const MsixRow& row : view.rows) {
    used += row.host ? 1 : 0;
    if (!row.vector.damaged) continue;
    text += fmt::format("{}: vector {}: {}{}{}\n", device, row.vector.index,
                        to_string(row.vector.verdict), row.vector.why.empty() ? "" : ": ",
                        row.vector.why);
  }
  if (text.empty()) {
    text = fmt::format("{}: {}, {} vectors in use\n", device,
                       view.source.empty() && used != 0 ? "no damage seen" : "ok", used);
  }
  if (audited.restored) text += fmt::format("{}: {} vectors restored\n", device, *audited.restored);
  if (view.damaged() && view.vmm == 0) {
    text += fmt::format(
        "{}: no VMM with an inspect socket has it, which could restore it; its driver may, by a "
        "reset\n",
        device);
  }
  for (const std::string& missing : view.missing) {
    text += fmt::format("{}: not seen: {}\n", device, missing);
  }
  return text;
}

Json json_of(const RestoredView& audited) {
  Json damaged = Json::array();
  for (const MsixRow& row : audited.view.rows) {
    if (!row.vector.damaged) continue;
    damaged.push_back({{"vector", row.vector.index},
                       {"verdict", to_string(row.vector.verdict)},
                       {"why", row.vector.why}});
  }
  return {{"device", audited.view.function.bdf.str()},
          {"damaged", damaged},
          {"restored", audited.restored ? Json(*audited.restored) : Json()},
          {"missing", audited.view.missing}};
}

void print(const std::vector<RestoredView>& all, const std::string& format) {
  if (format == "prometheus") {
    std::vector<MsixView> views;
    views.reserve(all.size());
    for (const RestoredView& each : all) views.push_back(each.view);
    fmt::print("{}", msix_metrics(views));
  } else if (format == "json") {
    Json devices = Json::array();
    for (const RestoredView& each : all) devices.push_back(json_of(each));
    print_json({{"devices", devices}});
  } else {
    for (const RestoredView& each : all) fmt::print("{}", text_of(each));
    if (all.empty()) fmt::print("No device has interrupts in use\n");
  }
}

int run(const AuditOptions& options) {
  if (options.all == !options.devices.empty()) {
    return wrong_usage({.code = EINVAL,
                        .operation = "audit",
                        .cause = "it takes either devices or --all",
                        .advice = "Name devices, or say --all"});
  }
  const auto named = parse_devices(options.devices);
  if (!named) return wrong_usage(named.error());
  const Sysfs sysfs;
  auto vmms = known_vmms(options.socket);
  if (!vmms) return report_error(vmms.error());
  const auto devices = options.all ? used_devices(sysfs, *vmms) : Result<std::vector<Bdf>>(*named);
  if (!devices) return report_error(devices.error());
  std::vector<RestoredView> all;
  bool damaged = false;
  bool failed = options.all && vmms->silent;
  for (const Bdf bdf : *devices) {
    auto audited = audit(sysfs, bdf, *vmms, options);
    if (!audited) {
      // Of all of a machine, some may go away meanwhile.
      if (options.all && audited.error().code == ENOENT) continue;
      report_error(audited.error());
      failed = true;
      continue;
    }
    if (audited->failure) {
      report_error(*audited->failure);
      failed = true;
    }
    damaged |= audited->view.damaged();
    // A guest has it, and what that wants is not known.
    failed |= vmms->silent && audited->view.vmm == 0 && audited->view.function.on_vfio;
    all.push_back(std::move(*audited));
  }
  if (!all.empty() || !failed) print(all, options.format);
  return failed ? kRefused : damaged ? kNo : kDone;
}

}  // namespace

void add_msix_audit(CLI::App& msix, int& status) {
  CLI::App* command = msix.add_subcommand("audit", "Tell which vectors are damaged, and heal them");
  const auto options = std::make_shared<AuditOptions>();
  command->add_option("DEVICE", options->devices, "PCI addresses, as 'passthru list' shows them")
      ->type_name("");
  command->add_flag("--all", options->all,
                    "All devices whose interrupts are in use, and guests' devices");
  command->add_flag("--heal", options->heal, "Have what is damaged restored");
  command->add_option("--socket", options->socket, kSocketHelp)->type_name("PATH");
  command->add_option("--format", options->format, "text, json or prometheus")
      ->check(CLI::IsMember({"text", "json", "prometheus"}).description(""))
      ->type_name("FORMAT")
      ->capture_default_str();
  const auto json = [options] { options->format = "json"; };
  command->add_flag_callback("--json", json, kJsonHelp);
  command->footer(kMsixAuditFooter);
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace passthru::tools
