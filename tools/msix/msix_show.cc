// SPDX-License-Identifier: MIT
// `passthru msix show`: the three views of each vector and what is wrong, as text and as JSON.
#include <fmt/format.h>

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/explain/explanation.h"
#include "tools/json.h"
#include "tools/msix/msix_commands.h"
#include "tools/msix/msix_view.h"
#include "tools/table.h"
#include "tools/terminal.h"
#include "tools/user_names.h"

namespace passthru::tools {
namespace {

constexpr const char* kMsixShowFooter =
    "For each vector: what the guest asked for, the host's interrupt and its\n"
    "count, what the device itself holds, and which of them is wrong. Neighbours\n"
    "that are alike share a line. GUEST and DEVICE show the message: an APIC's\n"
    "id and its vector, or 'remapped' and an entry of the interrupt remapping\n"
    "table.\n"
    "\n"
    "The VMM ('passthru run --inspect') reports the guest's view and the\n"
    "device's. Without a VMM, the command reads the table of a device in use\n"
    "through sysfs. Many kernels refuse that; the boot option iomem=relaxed\n"
    "allows it. If a device is bound to vfio-pci and free, the command opens it,\n"
    "which resets it. Needs root.\n"
    "\n"
    "VERDICT: 'passthru explain' lists the verdicts. With --explain, the output\n"
    "also says of each verdict in it what it means, how it comes about, and what\n"
    "to do.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru msix show 0000:01:00.0\n"
    "  sudo passthru msix show 0000:01:00.0 --explain\n"
    "  sudo passthru msix show 0000:01:00.0 --json |\n"
    "    jq '.vectors[] | select(.damaged)'";

// ---- JSON

Json entry_json(const MsixEntry& entry) {
  return {{"address", entry.message().address}, {"data", entry.data}};
}

Json guest_json(const VectorInspection& guest) {
  return {
      {"message", {{"address", guest.guest_message.address}, {"data", guest.guest_message.data}}},
      {"masked", guest.masked},
      {"pending", guest.pending},
      {"owner", to_string(guest.owner)},
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
  const VectorInspection& vector = row.vector;
  Json json = {{"index", vector.index},
               {"verdict", to_string(vector.verdict)},
               {"why", vector.why},
               {"damaged", vector.damaged},
               {"guest", row.reported ? guest_json(vector) : Json()},
               {"host", row.host ? host_json(*row.host) : Json()},
               {"message", vector.in_device ? entry_json(*vector.in_device) : Json()}};
  json["masked"] = vector.in_device ? Json(vector.in_device->masked()) : Json();
  json["pending"] = vector.in_device ? Json(vector.device_pending) : Json();
  return json;
}

Json to_json(const MsixView& view) {
  Json msix;
  if (view.layout) msix = json_msix_layout(*view.layout);
  if (view.layout) {
    const auto bit = [&](uint16_t mask) { return Json((*view.control & mask) != 0); };
    msix["enabled"] = view.control ? bit(PCI_MSIX_FLAGS_ENABLE) : Json();
    msix["function_masked"] = view.control ? bit(PCI_MSIX_FLAGS_MASKALL) : Json();
    const auto control = view.guest ? view.guest->msix_control : std::nullopt;
    msix["guest_enabled"] = control ? Json(control->enabled) : Json();
    msix["guest_function_masked"] = control ? Json(control->function_masked) : Json();
  }
  Json vectors = Json::array();
  for (const MsixRow& row : view.rows) vectors.push_back(to_json(row));
  return {
      {"device", view.function.bdf.str()},
      {"name", view.name},
      {"driver", json_or_null(view.function.driver)},
      {"source", json_or_null(view.source)},
      {"vmm", view.guest ? Json{{"pid", view.vmm}, {"user", view.vmm_user}, {"socket", view.socket}}
                         : Json()},
      {"interrupt_mode", view.guest ? Json(to_string(view.guest->interrupt_mode)) : Json()},
      {"msix", msix},
      {"vectors", vectors},
      {"missing", view.missing}};
}

// ---- text

const char* yes(bool value) {
  return value ? "yes" : "no";
}

std::string guest_text(const MsixRow& row) {
  if (!row.reported) return "-";
  std::string text = describe_message(row.vector.guest_message);
  if (row.vector.masked) text += ", masked";
  if (row.vector.pending) text += ", pending";
  return text;
}

std::string device_text(const MsixRow& row) {
  const auto& entry = row.vector.in_device;
  if (!entry) return "-";
  std::string text = describe_message(entry->message(), row.host && row.host->remapped);
  if (entry->masked()) text += ", masked";
  if (row.vector.device_pending) text += ", pending";
  return text;
}

std::vector<std::string> cells(const MsixRow& row) {
  return {to_string(row.vector.verdict),
          guest_text(row),
          row.reported ? to_string(row.vector.owner) : "-",
          row.host ? std::to_string(row.host->irq) : "-",
          row.host ? std::to_string(row.host->count()) : "-",
          row.host && !row.host->effective.empty() ? row.host->effective : "-",
          row.host && !row.host->affinity.empty() ? row.host->affinity : "-",
          device_text(row),
          row.reported ? std::to_string(row.vector.restores) : "-"};
}

std::string headline(const MsixView& view) {
  std::string text = fmt::format("{}  {}, driver {}\n", view.function.bdf.str(), view.name,
                                 view.function.driver.empty() ? "none" : view.function.driver);
  if (view.guest) {
    text += fmt::format("The guest's {}, by the VMM with pid {} of user {} ({}), which uses {}\n",
                        view.guest->guest_address.str(), view.vmm, user_text(view.vmm_user),
                        view.socket, to_string(view.guest->interrupt_mode));
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
                          yes((*view.control & PCI_MSIX_FLAGS_ENABLE) != 0),
                          (*view.control & PCI_MSIX_FLAGS_MASKALL) != 0 ? "on" : "off");
    }
    if (view.guest && view.guest->msix_control && view.guest->msix_control->function_masked) {
      text += "; the guest masks all of them by its function mask";
    }
    text += '\n';
  }
  return text;
}

// A narrow terminal keeps the verdict, and what the guest and the device hold.
std::string text_of(const MsixView& view, std::optional<size_t> width) {
  Table table({{.heading = "VECTOR", .right = true},
               {.heading = "VERDICT", .least = 10},
               {.heading = "GUEST", .least = 12},
               {.heading = "VIA", .rank = 3},
               {.heading = "IRQ", .right = true, .rank = 4},
               {.heading = "COUNT", .right = true, .rank = 2},
               {.heading = "ON", .least = 6, .rank = 6},
               {.heading = "AFFINITY", .least = 8, .rank = 7},
               {.heading = "DEVICE", .least = 12, .rank = 1},
               {.heading = "RESTORES", .right = true, .rank = 5}});
  const auto& rows = view.rows;
  std::string whys;
  for (size_t first = 0, next = 0; first < rows.size(); first = next) {
    const auto shown = cells(rows[first]);
    while (next < rows.size() &&
           rows[next].vector.index == rows[first].vector.index + (next - first) &&
           rows[next].vector.why == rows[first].vector.why && cells(rows[next]) == shown) {
      ++next;
    }
    const unsigned begin = rows[first].vector.index;
    const std::string index = next - first == 1
                                  ? std::to_string(begin)
                                  : fmt::format("{}-{}", begin, rows[next - 1].vector.index);
    std::vector<std::string> line = {index};
    line.insert(line.end(), shown.begin(), shown.end());
    table.add(line);
    const VectorInspection& vector = rows[first].vector;
    // The lines "Not seen" below have the reason.
    if (!vector.why.empty() && vector.verdict != Verdict::NotSeen) {
      whys += fmt::format("vector {}: {}\n", index, vector.why);
    }
  }
  std::string text = headline(view) + '\n' + table.str(width);
  if (!whys.empty()) text += '\n' + whys;
  for (const std::string& missing : view.missing) {
    text += fmt::format("\nNot seen: {}\n", missing);
  }
  return text;
}

struct ShowOptions {
  std::string device{};
  VmmChoice vmm{};
  bool explain = false;
  bool json = false;
};

void print_view(const MsixView& view, const ShowOptions& options) {
  const auto verdicts = options.explain ? view.verdicts() : std::vector<Verdict>{};
  const std::string device = view.function.bdf.str();
  if (options.json) {
    Json json = to_json(view);
    if (options.explain) json["explanations"] = explanations_json(verdicts, device);
    print_json(json);
    return;
  }
  print_wrapped(text_of(view, terminal_columns()));
  for (const Verdict verdict : verdicts) {
    print_text('\n' + explanation_text(verdict, device, terminal_columns()));
  }
}

int show(const ShowOptions& options) {
  const auto bdf = device_of(Sysfs(), options.device);
  if (!bdf) return wrong_usage(bdf.error());
  auto vmm = find_vmm(*bdf, options.vmm);
  if (!vmm) return report_error(vmm.error());
  const auto view = look_at_msix(Sysfs(), *bdf, *vmm ? &**vmm : nullptr, Idle::Open);
  if (!view) return report_error(view.error());
  print_view(*view, options);
  return kDone;
}

}  // namespace

void add_msix_show(CLI::App& msix, int& status) {
  CLI::App* command = msix.add_subcommand(
      "show", "Show the guest's, the host's and the device's view of each vector");
  const auto options = std::make_shared<ShowOptions>();
  command->add_option("DEVICE", options->device, kDeviceHelp)->type_name("")->required();
  add_socket_options(*command, options->vmm);
  command->add_flag("--explain", options->explain,
                    "Also explain each verdict that occurs, worst first");
  command->add_flag("--json", options->json, kJsonHelp);
  command->footer(kMsixShowFooter);
  command->callback([options, &status] { status = show(*options); });
}

}  // namespace passthru::tools
