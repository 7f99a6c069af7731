// SPDX-License-Identifier: MIT
// `passthru topology`: the tree of bridges and functions, and its faults.
#include <fmt/format.h>

#include <memory>
#include <set>
#include <string>

#include "pci/pci_names.h"
#include "pci/sysfs.h"
#include "pci/topology.h"
#include "tools/commands.h"
#include "tools/devices/device_words.h"
#include "tools/json.h"
#include "tools/topology/topology_output.h"
#include "tools/topology/topology_watch.h"

namespace passthru::tools {
namespace {

constexpr const char* kTopologyFooter =
    "Each function is below its bridge, by the bridges' present bus numbers.\n"
    "'ACS' is the traffic between functions that a bridge keeps apart; only root\n"
    "sees it. Functions whose traffic is not kept apart are in one group.\n"
    "'reset' lists the ways to reset the function alone, in the order in which\n"
    "the kernel tries them. The exception is 'bus', a hot reset: it also resets\n"
    "all functions behind the same bridge.\n"
    "Functions behind a VMD have a segment of their own, and are below the VMD.\n"
    "Bus numbers that do not form a tree are reported as faults, with exit\n"
    "status 1.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru topology\n"
    "  sudo passthru topology 01:00.0    a device, its bridges, its hot reset\n"
    "  passthru topology --watch         events of devices, until Ctrl-C\n"
    "  passthru topology --watch --json  the same as JSON, a document per line\n"
    "  passthru topology --json |\n"
    "    jq -r '.devices[] | \"\\(.parent) -> \\(.device)\"'";

struct TopologyOptions {
  std::optional<std::string> device{};  ///< also an empty word, from an empty shell variable
  bool json = false;
  bool watch = false;
};

int show(const TopologyOptions& options) {
  const Sysfs sysfs;
  if (options.watch) return watch_topology(sysfs, options.json);
  std::optional<Bdf> device;
  if (options.device) {
    const auto bdf = device_of(sysfs, *options.device);
    if (!bdf) return wrong_usage(bdf.error());
    device = *bdf;
  }
  const auto topology = read_topology(sysfs);
  if (!topology) return report_error(topology.error());
  std::set<size_t> nodes = all_nodes(*topology);
  if (device) {
    const auto around = nodes_around(*topology, *device);
    if (!around) return report_error(around.error());
    nodes = *around;
  }
  const PciNames names;
  if (options.json) {
    print_json(topology_json(*topology, nodes, names));
  } else {
    print_wrapped(topology_text(*topology, nodes, names));
    if (device) print_wrapped(hot_reset_text(*topology, *device));
    print_wrapped(faults_text(*topology));
  }
  return topology->faults.empty() ? kDone : kNo;
}

}  // namespace

CLI::App* add_topology(CLI::App& app, int& status) {
  CLI::App* command = app.add_subcommand("topology", "Show the tree of PCI bridges and functions");
  const auto options = std::make_shared<TopologyOptions>();
  CLI::Option* device = command
                            ->add_option("DEVICE", options->device,
                                         "Show only this device, the bridges in front of it and "
                                         "the functions behind it (default: all)")
                            ->type_name("");
  command->add_flag("--json", options->json, kJsonHelp);
  command
      ->add_flag("--watch", options->watch,
                 "Continue, and report added, removed and changed functions")
      ->excludes(device);
  command->footer(kTopologyFooter);
  command->callback([options, &status] { status = show(*options); });
  return command;
}

}  // namespace passthru::tools
