// SPDX-License-Identifier: MIT
// The tree of PCI bridges and functions by bus numbers, and the faults in it. A value: build it
// again after a change.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// The buses behind a bridge, to which it forwards configuration requests (PCI-to-PCI Bridge 1.2,
/// 3.2.5.3 and 3.2.5.4).
struct BridgeBuses {
  uint8_t secondary = 0;    ///< directly behind the bridge
  uint8_t subordinate = 0;  ///< the last bus behind the bridge
  bool operator==(const BridgeBuses&) const = default;
};

struct TopologyNode {
  PciFunction function{};
  std::optional<uint8_t> header_type{};  ///< 0 a function, 1 a bridge, 2 a CardBus bridge
  std::optional<BridgeBuses> buses{};    ///< nullopt: no bridge, or no bus numbers assigned
  /// Index of the node in front: a bridge, or the VMD whose root bus the node is on. nullopt: see
  /// `Topology::roots`.
  std::optional<size_t> bridge{};
  std::vector<size_t> behind{};  ///< indices of the nodes behind it, sorted by address
};

/// A fault in the bus numbers: it makes functions unreachable, or the tree ambiguous.
struct TopologyFault {
  Bdf device{};
  std::string what{};  ///< about `device`: "its secondary bus 02 is the bus that it is on"
  bool operator==(const TopologyFault&) const = default;
};

struct Topology {
  std::vector<TopologyNode> nodes{};  ///< sorted by address
  /// The nodes on root buses without a VMD, then the nodes on buses that no sound path leads to.
  /// Each of the latter is also a fault.
  std::vector<size_t> roots{};
  std::vector<TopologyFault> faults{};

  /// Returns the index of a function in `nodes`.
  [[nodiscard]] std::optional<size_t> find(Bdf bdf) const;
  /// Returns the bridges in front of a node, from the root on, and the node.
  [[nodiscard]] std::vector<size_t> path_to(size_t node) const;
  /// Returns a node and all nodes behind it, sorted by address.
  [[nodiscard]] std::vector<size_t> subtree(size_t node) const;
};

/// Builds the tree. Pure. Every function is in the tree once, whatever the bus numbers are. If two
/// bridges claim a bus, one of them gets it. A claim that would close a loop is not followed. The
/// functions of a VMD's segment are behind the VMD.
Topology build_topology(std::vector<PciFunction> functions, std::span<const RootBus> root_buses);

/// Builds the tree of this moment; bus numbers come from config space.
///
/// Errors:
/// - ENOENT: the kernel has no PCI.
Result<Topology> read_topology(const Sysfs& sysfs);

/// Returns all functions that a hot reset of a function resets, itself included, sorted. These are
/// all functions behind the same bridge (PCI Express 4.0, 6.6.1). Empty if no bridge can send the
/// reset: the function is on a root bus (also of a VMD), or does not exist.
std::vector<Bdf> hot_reset_set(const Topology& topology, Bdf bdf);

}  // namespace passthru
