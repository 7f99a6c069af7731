// SPDX-License-Identifier: MIT
// `passthru list`: the PCI functions of the machine, and whether each can be assigned.
#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "pci/pci_names.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/list/listed_devices.h"
#include "tools/terminal.h"
#include "vfio/group.h"

namespace passthru::tools {
namespace {

constexpr const char* kListFooter =
    "ASSIGNABLE is 'yes' if a guest can get the device now. Otherwise it says\n"
    "why not; usually 'passthru bind DEVICE' is enough. Devices of one GROUP\n"
    "leave the host together. USED AS has the host's network interfaces and\n"
    "disks of the device; every DEVICE argument takes them. MSI-X is the number\n"
    "of interrupt vectors; '?' without root.\n"
    "On a terminal, columns are cut or left out so that a line fits. A pipe gets\n"
    "everything.\n"
    "\n"
    "A WORD shows only the devices that have it in their address, ids, names,\n"
    "class or driver.\n"
    "\n"
    "Exit status: 0 a device is listed, 1 no device matches.\n"
    "\n"
    "Examples:\n"
    "  passthru list\n"
    "  passthru list nvme                       all that has to do with NVMe\n"
    "  passthru list --class ethernet --sort numa\n"
    "  passthru list --driver vfio-pci --assignable\n"
    "  passthru list --json | jq -r '.devices[] | select(.assignable) | .device'";

struct ListOptions {
  ListFilter filter{};
  std::string sort = "address";
  bool json = false;
};

Result<std::vector<ListedDevice>> look() {
  const Sysfs sysfs;
  const PciNames names;
  const std::vector<KernelName> kernels = kernel_names(sysfs);
  std::vector<ListedDevice> listed;
  for (const Bdf bdf : PASSTHRU_TRY(sysfs.functions())) {
    auto function = sysfs.function(bdf);
    if (!function) continue;  // unplugged a moment ago
    ListedDevice entry{
        .function = *function,
        .name = names.device(function->vendor, function->device),
        .class_name = names.device_class(static_cast<uint16_t>(function->class_code >> 8)),
        .msix = find_msix(function->config)};
    add_kernel_names(entry, kernels);
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

Json to_json(const ListedDevice& entry) {
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
          {"interfaces", entry.interfaces},
          {"controllers", entry.controllers},
          {"disks", entry.disks},
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

int list(const ListOptions& options) {
  auto listed = look();
  if (!listed) return report_error(listed.error());
  const size_t all = listed->size();
  listed->erase(std::remove_if(listed->begin(), listed->end(),
                               [&options](const ListedDevice& device) {
                                 return !passes(device, options.filter);
                               }),
                listed->end());
  sort_devices(*listed, list_order(options.sort));
  if (options.json) {
    Json devices = Json::array();
    for (const ListedDevice& entry : *listed) devices.push_back(to_json(entry));
    print_json({{"devices", devices}});
  } else if (all == 0) {
    say("passthru: this machine has no PCI device\n");
  } else if (listed->empty()) {
    say(fmt::format("passthru: none of the {} devices matches. 'passthru list' shows all\n", all));
  } else {
    print_text(list_text(*listed, terminal_columns()));
  }
  return listed->empty() ? kNo : kDone;
}

}  // namespace

CLI::App* add_list(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("list", "List the PCI devices of this machine, and which can be assigned");
  const auto options = std::make_shared<ListOptions>();
  command
      ->add_option("WORD", options->filter.words,
                   "Show only devices that have each WORD (default: all)")
      ->type_name("");
  command
      ->add_option("--class", options->filter.of_class,
                   "Only devices of this class: part of its name, or its number such as 0108")
      ->type_name("CLASS");
  command
      ->add_option("--driver", options->filter.driver,
                   "Only devices with this driver, or with none")
      ->type_name("NAME");
  command->add_flag("--assignable", options->filter.assignable,
                    "Only devices that a guest can get now");
  command
      ->add_option("--sort", options->sort,
                   "Order: " + joined_choices(list_orders()) + " (default: address)")
      ->transform(one_of(list_orders()))
      ->type_name("KEY");
  command->add_flag("--json", options->json, kJsonHelp);
  command->footer(kListFooter);
  command->callback([options, &status] { status = list(*options); });
  return command;
}

}  // namespace passthru::tools
