// SPDX-License-Identifier: MIT
// `passthru msix audit`: damaged vectors as text, as exit status and as metrics, and their
// restoring by the VMM.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "inspect/msix_snapshot.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/json.h"
#include "tools/msix/msix_commands.h"
#include "tools/msix/msix_metrics.h"
#include "tools/msix/msix_view.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsixAuditFooter =
    "Checks the vectors as 'passthru msix show' does, and reports the damaged\n"
    "vectors. Does not open unused devices. --all checks each device with\n"
    "interrupts of the host, and each device of a VMM with an inspect socket.\n"
    "--heal lets the VMM restore the damaged vectors, then checks again; this\n"
    "needs a VMM with an inspect socket. Needs root. If the device's entries\n"
    "cannot be read, as on many kernels, the output says 'no damage seen' instead\n"
    "of 'ok', and why. That is neither damage nor a failure.\n"
    "\n"
    "Exit status: 0 no vector is damaged (any longer), 1 a vector is damaged, 3\n"
    "a device could not be checked, or a VMM does not answer.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru msix audit --all\n"
    "  sudo passthru msix audit 0000:01:00.0 --heal\n"
    "  cd /var/lib/node_exporter/textfile\n"
    "  sudo passthru msix audit --all --format=prometheus > .new\n"
    "  [ $? -le 1 ] && mv .new passthru.prom";

struct AuditOptions {
  std::vector<std::string> devices{};
  VmmChoice vmm{};
  std::string format = "text";
  bool all = false;
  bool heal = false;
};

bool uses_msix(const MsixView& view) {
  return std::any_of(view.rows.begin(), view.rows.end(),
                     [](const MsixRow& row) { return row.host && row.host->msix; });
}

// The first device has the time that is left from the search for VMMs.
Result<RestoredView> audit(const Sysfs& sysfs, Bdf bdf, KnownVmms& vmms,
                           const AuditOptions& options, bool first) {
  VmmClient* const client = vmms.of(bdf);
  if (client != nullptr && !first) client->renew_patience();
  if (client == nullptr && !options.vmm.socket.empty() && !options.all) {
    return tl::unexpected(does_not_have(options.vmm.socket, bdf));
  }
  MsixView view = PASSTHRU_TRY(look_at_msix(sysfs, bdf, client, Idle::Leave));
  if (client == nullptr && !view.layout && uses_msix(view)) {
    return tl::unexpected(msix_layout_of(view.function).error());  // only root finds the table
  }
  if (!options.heal || client == nullptr || !view.damaged()) return RestoredView{std::move(view)};
  return restore_msix(sysfs, *client, std::move(view));
}

// Returns the devices that can be damaged: they have interrupts of the host, or should have them.
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
    const bool seen = view.seen() || view.missing.empty();
    text = fmt::format("{}: {}, {} vectors in use\n", device, seen ? "ok" : "no damage seen", used);
  }
  if (audited.restored) text += fmt::format("{}: {} vectors restored\n", device, *audited.restored);
  if (view.damaged() && view.vmm == 0) {
    text += fmt::format(
        "{}: no VMM with an inspect socket can restore it; its driver may restore it by a reset\n",
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
    print_text(msix_metrics(views));
  } else if (format == "json") {
    Json devices = Json::array();
    for (const RestoredView& each : all) devices.push_back(json_of(each));
    print_json({{"devices", devices}});
  } else {
    for (const RestoredView& each : all) print_wrapped(text_of(each));
    if (all.empty()) print_text("No device has interrupts in use\n");
  }
}

int run(const AuditOptions& options) {
  if (options.all == !options.devices.empty()) {
    return wrong_usage({.code = EINVAL,
                        .operation = "audit the devices",
                        .cause = "the command takes either devices or --all",
                        .advice = "Name devices, or use --all"});
  }
  const Sysfs sysfs;
  const auto named = devices_of(sysfs, options.devices);
  if (!named) return wrong_usage(named.error());
  auto vmms = known_vmms(options.vmm);
  if (!vmms) return report_error(vmms.error());
  const auto devices = options.all ? used_devices(sysfs, *vmms) : Result<std::vector<Bdf>>(*named);
  if (!devices) return report_error(devices.error());
  std::vector<RestoredView> all;
  bool damaged = false;
  bool failed = options.all && vmms->silent;
  for (const Bdf bdf : *devices) {
    auto audited = audit(sysfs, bdf, *vmms, options, bdf == devices->front());
    if (!audited) {
      // With --all, a device may be unplugged meanwhile.
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
    // A guest has the device, but the guest's view is unknown.
    failed |= vmms->silent && audited->view.vmm == 0 && audited->view.function.on_vfio;
    all.push_back(std::move(*audited));
  }
  if (!all.empty() || !failed) print(all, options.format);
  return failed ? kRefused : damaged ? kNo : kDone;
}

}  // namespace

void add_msix_audit(CLI::App& msix, int& status) {
  CLI::App* command = msix.add_subcommand("audit", "Check for damaged vectors, and restore them");
  const auto options = std::make_shared<AuditOptions>();
  command->add_option("DEVICE", options->devices, kDevicesHelp)->type_name("");
  command->add_flag("--all", options->all,
                    "Check all devices whose interrupts are in use, and guests' devices");
  command->add_flag("--heal", options->heal, "Let the VMM restore damaged vectors");
  add_socket_options(*command, options->vmm);
  command->add_option("--format", options->format, "Output format: text, json or prometheus")
      ->transform(one_of({"text", "json", "prometheus"}))
      ->type_name("FORMAT")
      ->capture_default_str();
  const auto json = [options] { options->format = "json"; };
  command->add_flag_callback("--json", json, kJsonHelp);
  command->footer(kMsixAuditFooter);
  command->callback([options, &status] { status = run(*options); });
}

}  // namespace passthru::tools
