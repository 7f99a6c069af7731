// SPDX-License-Identifier: MIT
// The tree grows bus by bus from the roots. Each bus is taken once, so no set of bus numbers makes
// a walk endless.
#include "pci/topology.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <utility>

#include "pci/capability_list.h"

namespace passthru {
namespace {

constexpr uint8_t kLayoutMask = 0x7f;  // bit 7: multifunction

std::optional<uint8_t> header_type(const PciFunction& function) {
  const uint8_t type = config_u8(function.config, PCI_HEADER_TYPE);
  if (type == 0xff) return std::nullopt;  // cut off, or the function does not answer
  return static_cast<uint8_t>(type & kLayoutMask);
}

// A CardBus bridge has its bus numbers at the same offsets.
std::optional<BridgeBuses> buses_of(const PciFunction& function) {
  if (!function.bridge || function.config.size() <= PCI_SUBORDINATE_BUS) return std::nullopt;
  const BridgeBuses buses{.secondary = config_u8(function.config, PCI_SECONDARY_BUS),
                          .subordinate = config_u8(function.config, PCI_SUBORDINATE_BUS)};
  if (buses.secondary == 0) return std::nullopt;  // after a reset: the bridge forwards nothing
  return buses;
}

/// Returns whether the class says that it is a bridge (PCI Code and ID Assignment 1.11, 1.7), but
/// its header does not.
bool is_unreadable_bridge(const PciFunction& function) {
  const uint32_t base_and_subclass = function.class_code >> 8;
  const bool bridge =
      base_and_subclass == 0x0604 || base_and_subclass == 0x0607 || base_and_subclass == 0x0609;
  return bridge && (!function.bridge || function.config.size() <= PCI_SUBORDINATE_BUS);
}

/// A virtual function may have a bus number that no bridge claims as its secondary bus. It counts
/// as on the bus of its physical function (Single Root I/O Virtualization 1.1, 2.1.2).
BusNumber bus_of(const PciFunction& function) {
  return {function.bdf.segment, function.physical_function.value_or(function.bdf).bus};
}

/// Returns why the bus numbers cannot be read, as the end of a sentence; empty if that is not
/// known.
std::string reason_of(const PciFunction& bridge) {
  if (bridge.config_error) return ": " + bridge.config_error->message();
  const std::string silence = silence_of(bridge);
  if (!silence.empty()) return ": " + silence;
  return bridge.power_state == "D3cold" ? ": it is in D3cold, and a read would wake it" : "";
}

class Builder {
 public:
  explicit Builder(Topology& topology) : topology_(topology), nodes_(topology.nodes) {
    for (size_t index = 0; index < nodes_.size(); ++index) {
      on_bus_[bus_of(nodes_[index].function)].push_back(index);
    }
  }

  void build(std::span<const RootBus> root_buses) {
    for (const TopologyNode& node : nodes_) {
      if (is_unreadable_bridge(node.function)) {
        fault(node, "its bus numbers cannot be read, so the devices behind it are unknown" +
                        reason_of(node.function));
      }
    }
    // Take all root buses first: no bridge may claim a root bus.
    std::vector<BusNumber> roots;
    std::vector<BusNumber> of_vmds;
    for (const RootBus& root : root_buses) {
      if (!owners_.try_emplace(root.bus, std::nullopt).second) continue;
      const auto vmd = root.vmd ? topology_.find(*root.vmd) : std::nullopt;
      if (vmd) vmd_buses_[*vmd].push_back(root.bus);
      (vmd ? of_vmds : roots).push_back(root.bus);
    }
    for (const BusNumber bus : roots) grow(bus);
    // Buses of VMDs that no root bus leads to.
    for (const BusNumber bus : of_vmds) {
      if (!grown_.contains(bus)) grow(bus);
    }
    const std::map<BusNumber, BusNumber> claims = unowned_claims();
    for (const auto& entry : on_bus_) {
      const BusNumber bus = entry.first;
      if (owners_.contains(bus)) continue;
      const auto [top, is_loop] = top_of(bus, claims);
      for (const size_t index : on_bus_[top]) {
        fault(nodes_[index],
              fmt::format("it is on bus {:02x}, {}", top.number,
                          is_loop ? "which only a loop of bridges leads to"
                                  : "which is neither behind a bridge nor a root bus"));
      }
      if (owners_.try_emplace(top, std::nullopt).second) grow(top);
    }
  }

 private:
  /// Adds everything behind a bus that neither a bridge nor a VMD leads to.
  void grow(BusNumber root) {
    grown_.insert(root);
    for (std::deque<BusNumber> todo = {root}; !todo.empty(); todo.pop_front()) {
      const std::optional<size_t> bridge = owners_.at(todo.front());
      for (const size_t index : on_bus_[todo.front()]) {
        nodes_[index].bridge = bridge;
        (bridge ? nodes_[*bridge].behind : topology_.roots).push_back(index);
        if (const auto behind = claim(index)) todo.push_back(*behind);
        for (const BusNumber bus : vmd_buses_[index]) {
          if (!grown_.insert(bus).second) continue;
          owners_.at(bus) = index;
          todo.push_back(bus);
        }
      }
    }
  }

  /// Returns the bus behind a bridge, if the bridge has a bus and is the first to claim it.
  std::optional<BusNumber> claim(size_t index) {
    const TopologyNode& node = nodes_[index];
    if (!node.buses) return std::nullopt;
    const auto [secondary, subordinate] = *node.buses;
    if (subordinate < secondary) {
      fault(node, fmt::format("its subordinate bus {:02x} is below its secondary bus {:02x}, so it "
                              "forwards nothing",
                              subordinate, secondary));
      return std::nullopt;
    }
    const BusNumber wanted{node.function.bdf.segment, secondary};
    const auto [owner, is_first] = owners_.try_emplace(wanted, index);
    if (!is_first) {
      fault(node, fmt::format("its secondary bus {:02x} {}", secondary,
                              why_not(wanted, bus_of(node.function), owner->second)));
      return std::nullopt;
    }
    // A VMD forwards all buses of its segment.
    if (node.bridge && nodes_[*node.bridge].buses) check_range(node, nodes_[*node.bridge]);
    return wanted;
  }

  std::string why_not(BusNumber wanted, BusNumber from, std::optional<size_t> owner) const {
    if (wanted == from) return "is the bus that it is on";
    for (auto bridge = owners_.at(from); bridge; bridge = nodes_[*bridge].bridge) {
      if (bus_of(nodes_[*bridge].function) == wanted)
        return "is in front of it, so the bridges form a loop";
    }
    if (!owner) return "is a bus without a bridge in front of it";
    return fmt::format("already belongs to {}", nodes_[*owner].function.bdf.str());
  }

  void check_range(const TopologyNode& node, const TopologyNode& front) {
    const auto [secondary, subordinate] = *node.buses;
    const auto [first, last] = *front.buses;
    if (secondary >= first && subordinate <= last) return;
    fault(node,
          fmt::format("its buses {:02x}-{:02x} are not all within {:02x}-{:02x}, which {} forwards",
                      secondary, subordinate, first, last, front.function.bdf.str()));
  }

  /// Returns the buses that bridges claim but no walk has reached, each with the bus of its bridge.
  [[nodiscard]] std::map<BusNumber, BusNumber> unowned_claims() const {
    std::map<BusNumber, BusNumber> claims;
    for (const auto& [bus, indices] : on_bus_) {
      if (owners_.contains(bus)) continue;
      for (const size_t index : indices) {
        const auto& buses = nodes_[index].buses;
        if (buses && buses->subordinate >= buses->secondary) {
          claims.try_emplace({bus.segment, buses->secondary}, bus);
        }
      }
    }
    return claims;
  }

  /// Walks from a bus towards the root along the claims. Ends at a bus without a claim, or, in a
  /// loop, at a bus that was passed before (true).
  static std::pair<BusNumber, bool> top_of(BusNumber bus,
                                           const std::map<BusNumber, BusNumber>& claims) {
    std::set<BusNumber> passed;
    for (auto claim = claims.find(bus); claim != claims.end(); claim = claims.find(bus)) {
      if (!passed.insert(bus).second) return {bus, true};
      bus = claim->second;
    }
    return {bus, false};
  }

  void fault(const TopologyNode& node, std::string what) {
    topology_.faults.push_back({.device = node.function.bdf, .what = std::move(what)});
  }

  Topology& topology_;
  std::vector<TopologyNode>& nodes_;
  std::map<BusNumber, std::vector<size_t>> on_bus_;
  std::map<BusNumber, std::optional<size_t>> owners_;   ///< the bridge or VMD in front, if any
  std::map<size_t, std::vector<BusNumber>> vmd_buses_;  ///< the root buses of a VMD, by its index
  std::set<BusNumber> grown_;                           ///< buses that `grow` began with
};

}  // namespace

Topology build_topology(std::vector<PciFunction> functions, std::span<const RootBus> root_buses) {
  std::sort(functions.begin(), functions.end(),
            [](const PciFunction& a, const PciFunction& b) { return a.bdf < b.bdf; });
  Topology topology;
  for (PciFunction& function : functions) {
    TopologyNode node{.header_type = header_type(function), .buses = buses_of(function)};
    node.function = std::move(function);
    topology.nodes.push_back(std::move(node));
  }
  Builder(topology).build(root_buses);
  return topology;
}

Result<Topology> read_topology(const Sysfs& sysfs) {
  std::vector<PciFunction> functions;
  for (const Bdf bdf : PASSTHRU_TRY(sysfs.functions())) {
    // A function that fails was unplugged a moment ago.
    // ACS is in the extended part.
    if (auto function = sysfs.function(bdf, ConfigPart::Extended))
      functions.push_back(std::move(*function));
  }
  return build_topology(std::move(functions), sysfs.root_buses());
}

std::optional<size_t> Topology::find(Bdf bdf) const {
  const auto at = std::lower_bound(
      nodes.begin(), nodes.end(), bdf,
      [](const TopologyNode& node, Bdf wanted) { return node.function.bdf < wanted; });
  if (at == nodes.end() || at->function.bdf != bdf) return std::nullopt;
  return static_cast<size_t>(at - nodes.begin());
}

std::vector<size_t> Topology::path_to(size_t node) const {
  std::vector<size_t> path;
  for (std::optional<size_t> at = node; at; at = nodes[*at].bridge) path.push_back(*at);
  std::reverse(path.begin(), path.end());
  return path;
}

std::vector<size_t> Topology::subtree(size_t node) const {
  std::vector<size_t> all = {node};
  for (size_t at = 0; at < all.size(); ++at) {
    for (const size_t each : nodes[all[at]].behind) all.push_back(each);
  }
  std::sort(all.begin(), all.end());
  return all;
}

std::vector<Bdf> hot_reset_set(const Topology& topology, Bdf bdf) {
  const auto node = topology.find(bdf);
  if (!node || !topology.nodes[*node].bridge) return {};
  const size_t bridge = *topology.nodes[*node].bridge;
  const std::optional<BridgeBuses> buses = topology.nodes[bridge].buses;
  if (!buses) return {};  // a VMD, which resets no bus
  // A virtual function on a bus that no bridge has as its secondary: no reset goes by that bus.
  if (buses->secondary != bdf.bus) return {};
  std::vector<Bdf> reset;
  for (const size_t each : topology.subtree(bridge)) {
    if (each != bridge) reset.push_back(topology.nodes[each].function.bdf);
  }
  return reset;
}

}  // namespace passthru
