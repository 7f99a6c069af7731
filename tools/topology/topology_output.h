// SPDX-License-Identifier: MIT
// The output of `passthru topology`: a line per function, indented below its bridge, or JSON
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
/// Returns a function, the bridges in front of it and the functions behind it.
/// Errors:
/// - ENOENT: the function is not in the tree.
[[nodiscard]] Result<std::set<size_t>> nodes_around(const Topology& topology, Bdf bdf);

/// Returns a line for each of `nodes`, indented by those of `nodes` that are in front of it.
std::string topology_text(const Topology& topology, const std::set<size_t>& nodes,
                          const PciNames& names);
/// Returns a line for each fault of the tree.
std::string faults_text(const Topology& topology);
/// Returns "a hot reset of DEVICE also resets: ..", or why a hot reset is impossible.
std::string hot_reset_text(const Topology& topology, Bdf bdf);

/// Return an event of `--watch`, as a line and as JSON.
std::string event_text(const Uevent& event);
Json event_json(const Uevent& event);

Json topology_json(const Topology& topology, const std::set<size_t>& nodes, const PciNames& names);

}  // namespace passthru::tools
