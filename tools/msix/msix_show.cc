// SPDX-License-Identifier: MIT
// Owns `passthru msix show`: the three views of each vector and what is wrong, for a person and as
// JSON.
#include <fmt/format.h>

#include <memory>
#include <string>

#include "tools/commands.h"
#include "tools/json.h"
#include "tools/msix/msix_commands.h"
#include "tools/msix/msix_view.h"
#include "tools/table.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsixShowFooter =
    "For each vector: what the guest asked for, the host's interrupt and how often it came, what "
    "the device itself\n"
    "holds, and which of them is wrong. Neighbours that are alike share a line. After GUEST and "
    "DEVICE is what the\n"
    "message says: an APIC's id and its vector, or 'remapped', an entry of the interrupt remapping "
    "table.\n"
    "\n"
    "The guest's view comes from its VMM ('passthru run --inspect'), and so does the device's "
    "then. "
    "Without one, a\n"
    "device that is in use is looked at in place, through sysfs; many kernels refuse that, and the "
    "boot option\n"
    "iomem=relaxed allows it. A device that is bound to vfio-pci and free is opened, which resets "
    "it. Needs root.\n"
    "\n"
    "VERDICT: ok, unused, masked by guest, masked by host; or damage: cleared (the device was "
    "reset "
    "behind the\n"
    "host's back), different, not routed, enable bit lost, function mask left on.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru msix show 0000:01:00.0\n"
    "  sudo passthru msix show 0000:01:00.0 --json | jq '.vectors[] | select(.damaged)'";

// ---- JSON

Json entry_json(const MsixEntry& entry) {
  return {{"address", entry.message().address}, {"data", entry.data}};
}

Json guest_json(const VectorInspection& guest) {
  return {
      {"message", {{"address", guest.guest_message.address}, {"data", guest.guest_message.data}}},
      {"masked", guest.masked},
      {"pending", guest.pending},
      {"owner", guest.owner},
      {"delivered", guest.delivered},
      {"restores", guest.restores},
      {"last_error", guest.last_error}};
}

Json host_json(const HostInterrupt& host) {
  return {{"irq", host.irq},           {"name", host.name},
          {"count", host.count()},     {"counts", host.counts},
          {"affinity", host.affinity}, {"effective_affinity", host.effective}};
}

Json to_json(const MsixRow& row) {
  Json json = {{"index", row.index},
               {"verdict", row.verdict},
               {"why", row.why},
               {"damaged", row.damaged},
               {"guest", row.guest ? guest_json(*row.guest) : Json()},
               {"host", row.host ? host_json(*row.host) : Json()},
               {"message", row.in_device ? entry_json(*row.in_device) : Json()}};
  json["masked"] = row.in_device ? Json(row.in_device->masked()) : Json();
  json["pending"] = row.in_device ? Json(row.device_pending) : Json();
  return json;
}

Json to_json(const MsixView& view) {
  Json msix;
  if (view.layout) msix = json_msix_layout(*view.layout);
  if (view.layout) {
    const auto bit = [&](uint16_t mask) { return Json((*view.control & mask) != 0); };
    msix["enabled"] = view.control ? bit(kMsixEnable) : Json();
    msix["function_masked"] = view.control ? bit(kMsixFunctionMask) : Json();
    const auto control = view.guest ? view.guest->msix_control : std::nullopt;
    msix["guest_enabled"] = control ? Json(control->enabled) : Json();
    msix["guest_function_masked"] = control ? Json(control->function_masked) : Json();
  }
  Json vectors = Json::array();
  for (const MsixRow& row : view.rows) vectors.push_back(to_json(row));
  return {{"device", view.function.bdf.str()},
          {"name", view.name},
          {"driver", json_or_null(view.function.driver)},
          {"source", json_or_null(view.source)},
          {"vmm", view.guest ? Json{{"pid", view.vmm}, {"socket", view.socket}} : Json()},
          {"interrupt_mode", view.guest ? Json(view.guest->interrupt_mode) : Json()},
          {"msix", msix},
          {"vectors", vectors},
          {"missing", view.missing}};
}

// ---- text

const char* yes(bool value) {
  return value ? "yes" : "no";
}

std::string guest_text(const MsixRow& row) {
  if (!row.guest) return "-";
  std::string text = describe_message(row.guest->guest_message);
  if (row.guest->masked) text += ", masked";
  if (row.guest->pending) text += ", pending";
  return text;
}

std::string device_text(const MsixRow& row) {
  if (!row.in_device) return "-";
  std::string text = describe_message(row.in_device->message(), row.host && row.host->remapped);
  if (row.in_device->masked()) text += ", masked";
  if (row.device_pending) text += ", pending";
  return text;
}

std::vector<std::string> cells(const MsixRow& row) {
  return {row.verdict,
          guest_text(row),
          row.guest ? row.guest->owner : "-",
          row.host ? std::to_string(row.host->irq) : "-",
          row.host ? std::to_string(row.host->count()) : "-",
          row.host && !row.host->effective.empty() ? row.host->effective : "-",
          row.host && !row.host->affinity.empty() ? row.host->affinity : "-",
          device_text(row),
          row.guest ? std::to_string(row.guest->restores) : "-"};
}

std::string headline(const MsixView& view) {
  std::string text = fmt::format("{}  {}, driver {}\n", view.function.bdf.str(), view.name,
                                 view.function.driver.empty() ? "none" : view.function.driver);
  if (view.guest) {
    text += fmt::format("The guest's {}, by the VMM with pid {} ({}), which uses {}\n",
                        view.guest->guest_address.str(), view.vmm, view.socket,
                        view.guest->interrupt_mode);
    if (!view.guest->detached.empty()) {
      text += fmt::format("Detached: {}\n", view.guest->detached);
    }
  }
  if (view.layout) {
    text += fmt::format("MSI-X of {} vectors, table at BAR{}+{:#x}, pending bits at BAR{}+{:#x}",
                        view.layout->vectors, view.layout->table_bar, view.layout->table_offset,
                        view.layout->pba_bar, view.layout->pba_offset);
    if (view.control) {
      text += fmt::format("; in the device: enabled {}, function mask {}",
                          yes((*view.control & kMsixEnable) != 0),
                          (*view.control & kMsixFunctionMask) != 0 ? "on" : "off");
    }
    if (view.guest && view.guest->msix_control && view.guest->msix_control->function_masked) {
      text += "; the guest masks all of them by its function mask";
    }
    text += '\n';
  }
  return text;
}

std::string text_of(const MsixView& view) {
  Table table({{.heading = "VECTOR", .right = true},
               {.heading = "VERDICT"},
               {.heading = "GUEST"},
               {.heading = "VIA"},
               {.heading = "IRQ", .right = true},
               {.heading = "COUNT", .right = true},
               {.heading = "ON"},
               {.heading = "AFFINITY"},
               {.heading = "DEVICE"},
               {.heading = "RESTORES", .right = true}});
  const auto& rows = view.rows;
  std::string whys;
  for (size_t first = 0, next = 0; first < rows.size(); first = next) {
    const auto shown = cells(rows[first]);
    while (next < rows.size() && rows[next].index == rows[first].index + (next - first) &&
           rows[next].why == rows[first].why && cells(rows[next]) == shown) {
      ++next;
    }
    const std::string index = next - first == 1
                                  ? std::to_string(rows[first].index)
                                  : fmt::format("{}-{}", rows[first].index, rows[next - 1].index);
    std::vector<std::string> line = {index};
    line.insert(line.end(), shown.begin(), shown.end());
    table.add(line);
    if (!rows[first].why.empty()) whys += fmt::format("vector {}: {}\n", index, rows[first].why);
  }
  std::string text = headline(view) + '\n' + table.str();
  if (!whys.empty()) text += '\n' + whys;
  for (const std::string& missing : view.missing) {
    text += fmt::format("\nNot seen: {}\n", missing);
  }
  return text;
}

struct ShowOptions {
  std::string device{};
  std::string socket{};
  bool json = false;
};

int show(const ShowOptions& options) {
  const auto bdf = Bdf::parse(options.device);
  if (!bdf) return wrong_usage(bdf.error());
  auto vmm = find_vmm(*bdf, options.socket);
  if (!vmm) return report_error(vmm.error());
  const auto view = look_at_msix(Sysfs(), *bdf, *vmm ? &**vmm : nullptr, Idle::Open);
  if (!view) return report_error(view.error());
  if (options.json) {
    print_json(to_json(*view));
  } else {
    fmt::print("{}", text_of(*view));
  }
  return kDone;
}

}  // namespace

void add_msix_show(CLI::App& msix, int& status) {
  CLI::App* command = msix.add_subcommand(
      "show", "Show the guest's, the host's and the device's view of each vector");
  const auto options = std::make_shared<ShowOptions>();
  command->add_option("DEVICE", options->device, "PCI address, as 'passthru list' shows it")
      ->type_name("")
      ->required();
  command->add_option("--socket", options->socket, kSocketHelp)->type_name("PATH");
  command->add_flag("--json", options->json, kJsonHelp);
  command->footer(kMsixShowFooter);
  command->callback([options, &status] { status = show(*options); });
}

}  // namespace passthru::tools
