// SPDX-License-Identifier: MIT
// Functions and bridges for tests of the tree, and checks that hold for every tree.
#pragma once

#include <gtest/gtest.h>

#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "pci/topology.h"

namespace passthru {

inline Bdf at(const char* bdf) {
  return *Bdf::parse(bdf);
}

inline PciFunction function(const char* bdf) {
  return {.bdf = at(bdf), .config = std::vector<std::byte>(64)};
}

inline PciFunction bridge(Bdf bdf, unsigned secondary, unsigned subordinate) {
  PciFunction bridge{.bdf = bdf, .class_code = 0x060400, .bridge = true};
  bridge.config.resize(64);
  bridge.config[0x0e] = std::byte{0x81};  // type 1, multifunction
  bridge.config[0x19] = static_cast<std::byte>(secondary);
  bridge.config[0x1a] = static_cast<std::byte>(subordinate);
  return bridge;
}
inline PciFunction bridge(const char* bdf, unsigned secondary, unsigned subordinate) {
  return bridge(at(bdf), secondary, subordinate);
}

/// Returns the bridge of each function, keyed by address; "" on a root bus.
inline std::map<std::string, std::string> parents(const Topology& topology) {
  std::map<std::string, std::string> parents;
  for (const TopologyNode& node : topology.nodes) {
    parents[node.function.bdf.str()] =
        node.bridge ? topology.nodes[*node.bridge].function.bdf.str() : "";
  }
  return parents;
}

/// Checks, whatever the numbers are, that a walk from the roots meets each function once, behind
/// its own bridge.
inline void expect_each_function_once(const Topology& topology) {
  std::vector<size_t> todo = topology.roots;
  std::set<size_t> met(todo.begin(), todo.end());
  ASSERT_EQ(met.size(), todo.size());
  for (const size_t root : topology.roots) EXPECT_FALSE(topology.nodes[root].bridge);
  while (!todo.empty()) {
    const size_t node = todo.back();
    todo.pop_back();
    for (const size_t behind : topology.nodes[node].behind) {
      ASSERT_TRUE(met.insert(behind).second) << "the walk met it twice";
      EXPECT_EQ(topology.nodes[behind].bridge, node);
      todo.push_back(behind);
    }
  }
  EXPECT_EQ(met.size(), topology.nodes.size());
}

}  // namespace passthru
