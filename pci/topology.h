// SPDX-License-Identifier: MIT
// Owns the tree of PCI bridges and functions as their bus numbers make it, and what is wrong with
// it. A value: whoever wants to know what the tree is after a change builds another.
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

/// The buses behind a bridge, as it passes configuration requests on (PCI-to-PCI Bridge 1.2,
/// 3.2.5.3 and 3.2.5.4).
struct BridgeBuses {
  uint8_t secondary = 0;    ///< the one right behind it
  uint8_t subordinate = 0;  ///< the last
  bool operator==(const BridgeBuses&) const = default;
};

struct TopologyNode {
  PciFunction function{};
  std::optional<uint8_t> header_type{};  ///< 0 a function, 1 a bridge, 2 a CardBus bridge
  std::optional<BridgeBuses> buses{};    ///< none: no bridge, or one that has been given none
  std::optional<size_t> bridge{};  ///< the node that it is behind; none: see `Topology::roots`
  std::vector<size_t> behind{};    ///< the nodes behind it, ordered by address
};

/// Something about bus numbers that makes functions unreachable, or the tree ambiguous.
struct TopologyFault {
  Bdf device{};
  std::string what{};  ///< a clause about `device`: "its secondary bus 02 is the one that it is on"
  bool operator==(const TopologyFault&) const = default;
};

struct Topology {
  std::vector<TopologyNode> nodes{};  ///< ordered by address
  /// The nodes on root buses; then those on buses that no sound path leads to, each of which is
  /// also a fault.
  std::vector<size_t> roots{};
  std::vector<TopologyFault> faults{};

  /// Where a function is in `nodes`.
  [[nodiscard]] std::optional<size_t> find(Bdf bdf) const;
  /// The bridges in front of a node, from the root on, and the node.
  [[nodiscard]] std::vector<size_t> path_to(size_t node) const;
  /// A node and all behind it, ordered by address.
  [[nodiscard]] std::vector<size_t> subtree(size_t node) const;
};

/// Pure. Every function is in the tree once, whatever the bus numbers say: of two bridges that
/// claim a bus one has it, and a claim that would close a loop is not followed.
Topology build_topology(std::vector<PciFunction> functions, std::span<const BusNumber> root_buses);

/// The tree of this moment: bus numbers are read from config space each time. ENOENT where the
/// kernel has no PCI.
Result<Topology> read_topology(const Sysfs& sysfs);

/// What a hot reset of a function resets, itself included, ordered: all that is behind the bridge
/// that it is behind (PCI Express 4.0, 6.6.1). Empty where no bridge can send one: on a root bus,
/// or no such function.
std::vector<Bdf> hot_reset_set(const Topology& topology, Bdf bdf);

}  // namespace passthru
