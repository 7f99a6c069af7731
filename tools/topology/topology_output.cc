// SPDX-License-Identifier: MIT
#include "tools/topology/topology_output.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/pci_regs.h>

#include <utility>
#include <vector>

#include "pci/acs.h"
#include "pci/sysfs.h"

namespace passthru::tools {
namespace {

std::string class_name(const PciFunction& function, const PciNames& names) {
  return names.device_class(static_cast<uint16_t>(function.class_code >> 8));
}

std::string name_of(const PciFunction& function, const PciNames& names) {
  return names.device(function.vendor, function.device);
}

std::string buses_text(const TopologyNode& node) {
  if (!node.buses) return "[no bus]";
  const auto [secondary, subordinate] = *node.buses;
  if (subordinate == secondary) return fmt::format("[bus {:02x}]", secondary);
  return fmt::format("[bus {:02x}-{:02x}]", secondary, subordinate);
}

/// Returns an empty text for an endpoint without ACS, or whose ACS this user cannot read.
std::string acs_text(const PciFunction& function) {
  if (function.config.size() < PCI_STD_HEADER_SIZEOF) return function.bridge ? "ACS unknown" : "";
  if (!shows_extended_config(function.config)) return function.bridge ? "ACS: only root sees" : "";
  const auto acs = find_acs(function.config);
  if (!acs) return function.bridge ? "no ACS" : "";
  const auto on = acs_words(acs->capability & acs->control);
  const auto off = acs_words(static_cast<uint16_t>(acs->capability & ~acs->control));
  if (on.empty() && off.empty()) return "ACS: nothing to switch";
  std::string text = "ACS";
  if (!on.empty()) text += fmt::format(" on: {}", fmt::join(on, ", "));
  if (!off.empty()) text += fmt::format("{} off: {}", on.empty() ? "" : ";", fmt::join(off, ", "));
  return text;
}

std::string line_of(const TopologyNode& node, const PciNames& names) {
  const PciFunction& function = node.function;
  std::vector<std::string> parts = {
      function.bdf.str(),
      fmt::format("{}: {}", class_name(function, names), name_of(function, names))};
  if (function.bridge) parts.push_back(buses_text(node));
  if (function.physical_function)
    parts.push_back("virtual function of " + function.physical_function->str());
  if (const auto& virtual_functions = function.virtual_functions) {
    parts.push_back(fmt::format("virtual functions {} of {}", virtual_functions->enabled,
                                virtual_functions->possible));
  }
  if (function.iommu_group) parts.push_back(fmt::format("group {}", *function.iommu_group));
  parts.push_back(function.driver.empty() ? "no driver" : "driver " + function.driver);
  if (!function.reset_methods.empty()) {
    parts.push_back(fmt::format("reset {}", fmt::join(function.reset_methods, " ")));
  }
  if (auto acs = acs_text(function); !acs.empty()) parts.push_back(std::move(acs));
  return fmt::format("{}\n", fmt::join(parts, "  "));
}

Json json_acs(const PciFunction& function) {
  const auto acs = find_acs(function.config);
  if (!acs) return {};
  return {{"capability", acs_words(acs->capability)}, {"enabled", acs_words(acs->control)}};
}

Json json_buses(const TopologyNode& node) {
  if (!node.buses) return {};
  return {{"secondary", node.buses->secondary}, {"subordinate", node.buses->subordinate}};
}

std::vector<std::string> addresses(std::span<const Bdf> bdfs) {
  std::vector<std::string> words;
  for (const Bdf bdf : bdfs) words.push_back(bdf.str());
  return words;
}

const char* event_word(const Uevent& event) {
  if (event.action == "add") return "added";
  return event.action == "remove" ? "removed" : "changed";
}

}  // namespace

std::set<size_t> all_nodes(const Topology& topology) {
  std::set<size_t> all;
  for (size_t node = 0; node < topology.nodes.size(); ++node) all.insert(all.end(), node);
  return all;
}

Result<std::set<size_t>> nodes_around(const Topology& topology, Bdf bdf) {
  const auto node = topology.find(bdf);
  if (!node) return tl::unexpected(no_such_function(bdf));
  std::set<size_t> nodes;
  for (const size_t each : topology.path_to(*node)) nodes.insert(each);
  for (const size_t each : topology.subtree(*node)) nodes.insert(each);
  return nodes;
}

std::string topology_text(const Topology& topology, const std::set<size_t>& nodes,
                          const PciNames& names) {
  std::string text;
  // Depth first, without recursion. Children are pushed in reverse and so popped in order.
  std::vector<std::pair<size_t, size_t>> todo;  // node, depth
  const auto push = [&todo](const std::vector<size_t>& children, size_t depth) {
    for (auto child = children.rbegin(); child != children.rend(); ++child)
      todo.emplace_back(*child, depth);
  };
  push(topology.roots, 0);
  while (!todo.empty()) {
    const auto [node, depth] = todo.back();
    todo.pop_back();
    const bool shown = nodes.contains(node);
    if (shown) {
      text += std::string(2 * depth, ' ') + line_of(topology.nodes[node], names);
    }
    push(topology.nodes[node].behind, shown ? depth + 1 : depth);
  }
  return text;
}

std::string faults_text(const Topology& topology) {
  std::string text;
  for (const TopologyFault& fault : topology.faults) {
    text += fmt::format("fault: {}: {}\n", fault.device.str(), fault.what);
  }
  return text;
}

std::string hot_reset_text(const Topology& topology, Bdf bdf) {
  std::vector<Bdf> reset = hot_reset_set(topology, bdf);
  if (reset.empty()) {
    return fmt::format("{} has no hot reset: it has no bridge that can reset it\n", bdf.str());
  }
  std::erase(reset, bdf);
  return fmt::format(
      "a hot reset of {} also resets: {}\n", bdf.str(),
      reset.empty() ? "nothing else" : fmt::format("{}", fmt::join(addresses(reset), " ")));
}

std::string event_text(const Uevent& event) {
  const std::string word = event_word(event);
  const std::string action = word == "changed" ? fmt::format(" ({})", event.action) : "";
  return fmt::format("{} {}{}\n", word, event.bdf.str(), action);
}

Json event_json(const Uevent& event) {
  return {{"event", event_word(event)}, {"device", event.bdf.str()}, {"action", event.action}};
}

Json topology_json(const Topology& topology, const std::set<size_t>& nodes, const PciNames& names) {
  Json devices = Json::array();
  for (const size_t index : nodes) {
    const TopologyNode& node = topology.nodes[index];
    const PciFunction& function = node.function;
    devices.push_back(
        {{"device", function.bdf.str()},
         {"parent", node.bridge ? Json(topology.nodes[*node.bridge].function.bdf.str()) : Json()},
         {"name", name_of(function, names)},
         {"class_name", class_name(function, names)},
         {"driver", json_or_null(function.driver)},
         {"iommu_group", json_or_null(function.iommu_group)},
         {"header_type", json_or_null(node.header_type)},
         {"buses", json_buses(node)},
         {"physical_function", json_physical_function(function)},
         {"virtual_functions", json_virtual_functions(function)},
         {"reset_methods", function.reset_methods},
         {"acs", json_acs(function)},
         {"acs_known", shows_extended_config(function.config)},
         {"hot_reset", addresses(hot_reset_set(topology, function.bdf))}});
  }
  Json faults = Json::array();
  for (const TopologyFault& fault : topology.faults) {
    faults.push_back({{"device", fault.device.str()}, {"fault", fault.what}});
  }
  return {{"devices", devices}, {"faults", faults}};
}

}  // namespace passthru::tools
