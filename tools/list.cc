// SPDX-License-Identifier: MIT
// `passthru list`: every PCI function of the machine, and whether it can be assigned.
#include <fmt/format.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <vector>

#include "pci/msix_layout.h"
#include "pci/pci_names.h"
#include "pci/sysfs.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/table.h"
#include "vfio/group.h"

namespace passthru::tools {
namespace {

constexpr const char* kListFooter =
    "ASSIGNABLE is 'yes' if a guest can get the device now. Otherwise it says why not; usually\n"
    "'passthru bind DEVICE' is enough. Devices of one GROUP leave the host together.\n"
    "MSI-X is the number of interrupt vectors; '?' without root.\n"
    "\n"
    "Examples:\n"
    "  passthru list\n"
    "  passthru list --json | jq -r '.devices[] | select(.assignable) | .device'";

struct Listed {
  PciFunction function;
  std::string name;
  std::string class_name;
  std::optional<MsixLayout> msix;
  std::optional<Error> obstacle;  // why it cannot be assigned
};

Result<std::vector<Listed>> look() {
  const Sysfs sysfs;
  const PciNames names;
  std::vector<Listed> listed;
  for (const Bdf bdf : PASSTHRU_TRY(sysfs.functions())) {
    auto function = sysfs.function(bdf);
    if (!function) continue;  // unplugged a moment ago
    Listed entry{.function = *function,
                 .name = names.device(function->vendor, function->device),
                 .class_name = names.device_class(static_cast<uint16_t>(function->class_code >> 8)),
                 .msix = find_msix(function->config),
                 .obstacle = {}};
    if (auto group = assignable_group(sysfs, bdf); !group) entry.obstacle = group.error();
    if (const std::string silence = silence_of(*function); !silence.empty()) {
      entry.obstacle = Error{.code = EIO,
                             .operation = "assign the device",
                             .device = bdf.str(),
                             .cause = silence,
                             .advice = "Turn the machine off and on, or reset its slot"};
    }
    listed.push_back(std::move(entry));
  }
  return listed;
}

Json to_json(const Listed& entry) {
  const PciFunction& function = entry.function;
  return {{"device", function.bdf.str()},
          {"vendor", function.vendor},
          {"device_id", function.device},
          {"subsystem_vendor", function.subsystem_vendor},
          {"subsystem_device", function.subsystem_device},
          {"class", function.class_code},
          {"revision", function.revision},
          {"name", entry.name},
          {"class_name", entry.class_name},
          {"driver", json_or_null(function.driver)},
          {"iommu_group", json_or_null(function.iommu_group)},
          {"numa_node", json_or_null(function.numa_node)},
          {"bridge", function.bridge},
          {"physical_function", json_physical_function(function)},
          {"virtual_functions", json_virtual_functions(function)},
          {"reset_methods", function.reset_methods},
          {"msix", entry.msix ? json_msix_layout(*entry.msix) : Json()},
          {"assignable", !entry.obstacle},
          {"why_not", entry.obstacle ? Json(entry.obstacle->cause) : Json()},
          {"advice", entry.obstacle ? json_or_null(entry.obstacle->advice) : Json()}};
}

/// Returns the name, with a physical function in front: a terminal cuts off the end of a name.
std::string name_of(const Listed& entry) {
  const auto& physical = entry.function.physical_function;
  return physical ? fmt::format("VF of {}: {}", physical->str(), entry.name) : entry.name;
}

std::string vectors(const Listed& entry) {
  if (entry.msix) return std::to_string(entry.msix->vectors);
  return entry.function.config.size() <= 64 ? "?" : "-";
}

void print_table(const std::vector<Listed>& listed) {
  // In a pipe or a file names are whole, so that grep finds them.
  const size_t name_width = ::isatty(STDOUT_FILENO) != 0 ? 44 : 0;
  Table table({{.heading = "DEVICE"},
               {.heading = "ID"},
               {.heading = "NAME", .widest = name_width},
               {.heading = "DRIVER"},
               {.heading = "GROUP", .right = true},
               {.heading = "MSI-X", .right = true},
               {.heading = "ASSIGNABLE"}});
  for (const Listed& entry : listed) {
    const PciFunction& function = entry.function;
    table.add({function.bdf.str(), fmt::format("{:04x}:{:04x}", function.vendor, function.device),
               name_of(entry), function.driver.empty() ? "-" : function.driver,
               function.iommu_group ? std::to_string(*function.iommu_group) : "-", vectors(entry),
               entry.obstacle ? "no: " + entry.obstacle->cause : "yes"});
  }
  print_text(table.str());
}

int list(bool json) {
  const auto listed = look();
  if (!listed) return report_error(listed.error());
  if (json) {
    Json devices = Json::array();
    for (const Listed& entry : *listed) devices.push_back(to_json(entry));
    print_json({{"devices", devices}});
  } else {
    print_table(*listed);
  }
  return kDone;
}

}  // namespace

CLI::App* add_list(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("list", "List the PCI devices of this machine, and which can be assigned");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, kJsonHelp);
  command->footer(kListFooter);
  command->callback([json, &status] { status = list(*json); });
  return command;
}

}  // namespace passthru::tools
