// SPDX-License-Identifier: MIT
// Owns how `passthru topology` shows a tree: a line a function, indented below its bridge, or JSON
// (docs/json.md).
#pragma once

#include <set>
#include <span>
#include <string>

#include "pci/pci_names.h"
#include "pci/topology.h"
#include "pci/uevents.h"
#include "tools/json.h"

namespace passthru::tools {

[[nodiscard]] std::set<size_t> all_nodes(const Topology& topology);
/// A function, what is in front of it and what is behind it. ENOENT: it is not in the tree.
[[nodiscard]] Result<std::set<size_t>> nodes_around(const Topology& topology, Bdf bdf);

/// Some of the nodes, each indented by the bridges in front of it that are among them.
std::string topology_text(const Topology& topology, const std::set<size_t>& nodes,
                          const PciNames& names);
/// A line for each fault of the tree.
std::string faults_text(const Topology& topology);
/// "a hot reset of DEVICE takes with it: ..", or that there is none.
std::string hot_reset_text(const Topology& topology, Bdf bdf);

/// What `--watch` tells of an event: a line, and as JSON.
std::string event_text(const Uevent& event);
Json event_json(const Uevent& event);

Json topology_json(const Topology& topology, const std::set<size_t>& nodes, const PciNames& names);

}  // namespace passthru::tools
