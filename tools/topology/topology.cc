// SPDX-License-Identifier: MIT
// Owns `passthru topology`: the tree of bridges and functions, and what is wrong with it.
#include <fmt/format.h>

#include <memory>
#include <set>
#include <string>

#include "pci/pci_names.h"
#include "pci/sysfs.h"
#include "pci/topology.h"
#include "tools/commands.h"
#include "tools/json.h"
#include "tools/topology/topology_output.h"
#include "tools/topology/topology_watch.h"

namespace passthru::tools {
namespace {

constexpr const char* kTopologyFooter =
    "Each function is below the bridge that it is behind, as the bridges' bus numbers have it at "
    "this moment.\n"
    "What a bridge keeps apart of the traffic between functions is its ACS; only root sees it. "
    "Functions that it\n"
    "does not keep apart are in one group. 'reset' are the ways to reset a function alone, in the "
    "order in which\n"
    "the kernel tries them, but for 'bus': that is a hot reset, and takes along all behind the "
    "same "
    "bridge.\n"
    "Bus numbers that make no tree are reported as faults, and the exit status is 1.\n"
    "\n"
    "Examples:\n"
    "  sudo passthru topology\n"
    "  sudo passthru topology 0000:01:00.0    what is in front of it, behind it, and reset with "
    "it\n"
    "  passthru topology --watch              what comes and goes from now on, until Ctrl-C\n"
    "  passthru topology --watch --json       the same, a document a line\n"
    "  passthru topology --json | jq -r '.devices[] | \"\\(.parent) -> \\(.device)\"'";

struct TopologyOptions {
  std::optional<std::string> device{};  ///< also an empty word, of a script without its device
  bool json = false;
  bool watch = false;
};

int show(const TopologyOptions& options) {
  const Sysfs sysfs;
  if (options.watch) return watch_topology(sysfs, options.json);
  std::optional<Bdf> device;
  if (options.device) {
    const auto bdf = Bdf::parse(*options.device);
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
    fmt::print("{}", topology_text(*topology, nodes, names));
    if (device) fmt::print("{}", hot_reset_text(*topology, *device));
    fmt::print("{}", faults_text(*topology));
  }
  return topology->faults.empty() ? kDone : kNo;
}

}  // namespace

CLI::App* add_topology(CLI::App& app, int& status) {
  CLI::App* command =
      app.add_subcommand("topology", "Show the tree of PCI bridges and what is behind them");
  const auto options = std::make_shared<TopologyOptions>();
  CLI::Option* device = command
                            ->add_option("DEVICE", options->device,
                                         "Only what is in front of this device and behind it")
                            ->type_name("");
  command->add_flag("--json", options->json, kJsonHelp);
  command->add_flag("--watch", options->watch, "Go on, and tell what is added, removed or changed")
      ->excludes(device);
  command->footer(kTopologyFooter);
  command->callback([options, &status] { status = show(*options); });
  return command;
}

}  // namespace passthru::tools
