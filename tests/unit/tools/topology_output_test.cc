// SPDX-License-Identifier: MIT
// Tests of the text and JSON output of `passthru topology`.
#include "tools/topology/topology_output.h"

#include <gtest/gtest.h>

#include <string>

#include "tests/unit/pci/config_image.h"

namespace passthru::tools {
namespace {

/// A port with ACS, behind it a bridge whose capabilities only root can read, and two functions.
Topology small_machine() {
  ConfigImage port(4096);
  port.put8(0x0e, 1);
  port.put8(0x19, 1);
  port.put8(0x1a, 2);
  port.put32(0x100, 0x1000d);
  port.put16(0x104, 0x1f);
  port.put16(0x106, 0x11);
  ConfigImage bridge(64);
  bridge.put8(0x0e, 1);
  bridge.put8(0x19, 2);
  bridge.put8(0x1a, 2);
  const std::vector<PciFunction> functions = {{.bdf = {.device = 5},
                                               .vendor = 0x1b36,
                                               .device = 0x000c,
                                               .class_code = 0x060400,
                                               .driver = "pcieport",
                                               .iommu_group = 3,
                                               .bridge = true,
                                               .reset_methods = {"pm", "bus"},
                                               .config = port.bytes},
                                              {.bdf = {.bus = 1},
                                               .vendor = 0x1b36,
                                               .device = 0x000e,
                                               .class_code = 0x060400,
                                               .iommu_group = 3,
                                               .bridge = true,
                                               .config = bridge.bytes},
                                              {.bdf = {.bus = 2, .device = 1},
                                               .vendor = 0x8086,
                                               .device = 0x24cd,
                                               .class_code = 0x0c0320,
                                               .driver = "ehci-pci",
                                               .iommu_group = 3,
                                               .config = std::vector<std::byte>(256)},
                                              {.bdf = {.bus = 2, .device = 2},
                                               .vendor = 0x8086,
                                               .device = 0x24cd,
                                               .class_code = 0x0c0320,
                                               .config = std::vector<std::byte>(64)},
                                              {.bdf = {.bus = 9},
                                               .vendor = 0x8086,
                                               .device = 0x10d3,
                                               .class_code = 0x020000,
                                               .config = std::vector<std::byte>(64)}};
  const RootBus roots[] = {{.bus = {0, 0}}};
  return build_topology(functions, roots);
}

constexpr Bdf kFirst{.bus = 2, .device = 1};
constexpr Bdf kSecond{.bus = 2, .device = 2};

class TopologyOutput : public testing::Test {
 protected:
  const Topology topology = small_machine();
  const PciNames names{"/nonexistent"};  // no list of ids, so names are numbers
};

TEST_F(TopologyOutput, IsALineAFunctionBelowItsBridge) {
  EXPECT_EQ(topology_text(topology, all_nodes(topology), names),
            "0000:00:05.0  Class 0604: Device 1b36:000c  [bus 01-02]  group 3  driver pcieport  "
            "reset pm bus  ACS on: source validation, upstream forwarding; off: translation "
            "blocking, request redirect, completion redirect\n"
            "  0000:01:00.0  Class 0604: Device 1b36:000e  [bus 02]  group 3  no driver  ACS: only "
            "root sees\n"
            "    0000:02:01.0  Class 0c03: Device 8086:24cd  group 3  driver ehci-pci\n"
            "    0000:02:02.0  Class 0c03: Device 8086:24cd  no driver\n"
            "0000:09:00.0  Class 0200: Device 8086:10d3  no driver\n");
}

TEST_F(TopologyOutput, SaysWhoseVirtualFunctionItIsAndHowManyThereAre) {
  const std::vector<PciFunction> functions = {
      {.bdf = {.device = 4}, .virtual_functions = VirtualFunctions{.enabled = 1, .possible = 7}},
      {.bdf = {.device = 4, .function = 1}, .physical_function = Bdf{.device = 4}}};
  const RootBus roots[] = {{.bus = {0, 0}}};
  const Topology tree = build_topology(functions, roots);
  EXPECT_EQ(topology_text(tree, all_nodes(tree), names),
            "0000:00:04.0  Class 0000: Device 0000:0000  virtual functions 1 of 7  no driver\n"
            "0000:00:04.1  Class 0000: Device 0000:0000  virtual function of 0000:00:04.0  no "
            "driver\n");
  const Json json = topology_json(tree, all_nodes(tree), names)["devices"];
  EXPECT_EQ(json[0]["physical_function"], Json());
  EXPECT_EQ(json[0]["virtual_functions"], (Json{{"enabled", 1}, {"possible", 7}}));
  EXPECT_EQ(json[1]["physical_function"], "0000:00:04.0");
  EXPECT_EQ(json[1]["virtual_functions"], Json());
}

TEST_F(TopologyOutput, Case11ShowsTheFunctionsBehindAVmdBelowIt) {
  const Bdf port{.segment = 0x10000, .bus = 0xe0, .device = 6};
  ConfigImage config(64);
  config.put8(0x0e, 1);
  config.put8(0x19, 0xe1);
  config.put8(0x1a, 0xe1);
  const std::vector<PciFunction> functions = {
      {.bdf = {.device = 0x0e}, .class_code = 0x010400, .driver = "vmd"},
      {.bdf = port, .class_code = 0x060400, .bridge = true, .config = config.bytes},
      {.bdf = {.segment = 0x10000, .bus = 0xe1}, .class_code = 0x010802}};
  const RootBus roots[] = {{.bus = {0, 0}}, {.bus = {0x10000, 0xe0}, .vmd = Bdf{.device = 0x0e}}};
  const Topology tree = build_topology(functions, roots);
  EXPECT_EQ(topology_text(tree, all_nodes(tree), names),
            "0000:00:0e.0  Class 0104: Device 0000:0000  driver vmd\n"
            "  10000:e0:06.0  Class 0604: Device 0000:0000  [bus e1]  no driver  ACS: only root "
            "sees\n"
            "    10000:e1:00.0  Class 0108: Device 0000:0000  no driver\n");
  const Json json = topology_json(tree, all_nodes(tree), names)["devices"];
  EXPECT_EQ(json[1]["parent"], "0000:00:0e.0");
  EXPECT_EQ(json[1]["hot_reset"], Json::array());
  EXPECT_EQ(json[2]["parent"], "10000:e0:06.0");
  EXPECT_EQ(json[2]["hot_reset"], Json::array({"10000:e1:00.0"}));
}

TEST_F(TopologyOutput, OfSomeIsIndentedByThoseThatAreShown) {
  EXPECT_EQ(topology_text(topology, {*topology.find({.bus = 1}), *topology.find(kSecond)}, names),
            "0000:01:00.0  Class 0604: Device 1b36:000e  [bus 02]  group 3  no driver  ACS: only "
            "root sees\n"
            "  0000:02:02.0  Class 0c03: Device 8086:24cd  no driver\n");
}

TEST_F(TopologyOutput, OfADeviceIsTheWayToItAndWhatIsBehindIt) {
  EXPECT_EQ(nodes_around(topology, {.bus = 1}).value(), (std::set<size_t>{0, 1, 2, 3}));
  EXPECT_EQ(nodes_around(topology, {.bus = 2, .device = 2}).value(), (std::set<size_t>{0, 1, 3}));
}

TEST_F(TopologyOutput, OfADeviceThatIsNotThereIsRefused) {
  const auto nodes = nodes_around(topology, {.bus = 2, .device = 3});
  ASSERT_FALSE(nodes);
  EXPECT_EQ(nodes.error().code, ENOENT);
  EXPECT_EQ(
      nodes.error().message(),
      "0000:02:03.0: cannot find the device: this machine has no PCI function at this address. "
      "'passthru list' shows the devices of this machine");
}

TEST_F(TopologyOutput, TellsFaultsAndHotResets) {
  EXPECT_EQ(
      faults_text(topology),
      "fault: 0000:09:00.0: it is on bus 09, which is neither behind a bridge nor a root bus\n");
  EXPECT_EQ(hot_reset_text(topology, kFirst),
            "a hot reset of 0000:02:01.0 also resets: 0000:02:02.0\n");
  EXPECT_EQ(hot_reset_text(topology, {.device = 5}),
            "0000:00:05.0 has no hot reset: it has no bridge that can reset it\n");
  const RootBus roots[] = {{.bus = {0, 2}}};
  EXPECT_EQ(hot_reset_text(build_topology({topology.nodes[0].function}, roots), kFirst),
            "0000:02:01.0 has no hot reset: it has no bridge that can reset it\n");
}

TEST_F(TopologyOutput, IsAFlatListInJson) {
  const Json json = topology_json(topology, all_nodes(topology), names);
  ASSERT_EQ(json["devices"].size(), 5U);
  const Json& port = json["devices"][0];
  EXPECT_EQ(port["device"], "0000:00:05.0");
  EXPECT_EQ(port["parent"], Json());
  EXPECT_EQ(port["header_type"], 1);
  EXPECT_EQ(port["buses"], (Json{{"secondary", 1}, {"subordinate", 2}}));
  EXPECT_EQ(port["acs"]["enabled"], (Json{"source validation", "upstream forwarding"}));
  EXPECT_EQ(port["acs"]["capability"].size(), 5U);
  EXPECT_EQ(port["acs_known"], true);
  EXPECT_EQ(port["reset_methods"], (Json{"pm", "bus"}));
  EXPECT_EQ(port["hot_reset"], Json::array());
  const Json& function = json["devices"][3];
  EXPECT_EQ(function["parent"], "0000:01:00.0");
  EXPECT_EQ(function["driver"], Json());
  EXPECT_EQ(function["iommu_group"], Json());
  EXPECT_EQ(function["buses"], Json());
  EXPECT_EQ(function["acs"], Json());
  EXPECT_EQ(function["acs_known"], false);
  EXPECT_EQ(function["hot_reset"], (Json{"0000:02:01.0", "0000:02:02.0"}));
  EXPECT_EQ(json["faults"][0]["device"], "0000:09:00.0");
}

TEST(TopologyEvents, AreALineOrADocumentEach) {
  const Bdf bdf{.bus = 1};
  EXPECT_EQ(event_text({"add", bdf}), "added 0000:01:00.0\n");
  EXPECT_EQ(event_text({"remove", bdf}), "removed 0000:01:00.0\n");
  EXPECT_EQ(event_text({"bind", bdf}), "changed 0000:01:00.0 (bind)\n");
  EXPECT_EQ(event_json({"add", bdf}),
            (Json{{"event", "added"}, {"device", "0000:01:00.0"}, {"action", "add"}}));
  EXPECT_EQ(event_json({"bind", bdf})["event"], "changed");
  EXPECT_EQ(event_json({"bind", bdf})["action"], "bind");
}

}  // namespace
}  // namespace passthru::tools
