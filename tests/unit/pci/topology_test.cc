// SPDX-License-Identifier: MIT
// Tests of the tree that bus numbers form: valid trees, and every kind of fault.
#include "pci/topology.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <ostream>
#include <random>
#include <string>

#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/pci/topology_parts.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

constexpr RootBus kRoot[] = {{.bus = {0, 0}}};

PciFunction cut(PciFunction function, size_t size) {
  function.config.resize(size);
  // As pci/sysfs sets it.
  function.bridge = function.bridge && size > 0x0e;
  return function;
}

PciFunction silent(PciFunction function) {
  std::fill(function.config.begin(), function.config.end(), std::byte{0xff});
  function.bridge = false;
  return function;
}

PciFunction virtual_function(const char* bdf, const char* physical) {
  PciFunction virtual_one = function(bdf);
  virtual_one.physical_function = at(physical);
  return virtual_one;
}

std::vector<std::string> words(const Topology& topology) {
  std::vector<std::string> words;
  for (const TopologyFault& fault : topology.faults) {
    words.push_back(fault.device.str() + ": " + fault.what);
  }
  return words;
}

/// A root port, a switch with two downstream ports, a device with two functions, and a bridge to
/// conventional PCI with two devices.
std::vector<PciFunction> machine() {
  return {function("00:00.0"),     bridge("00:05.0", 1, 5), bridge("01:00.0", 2, 5),
          bridge("02:00.0", 3, 3), function("03:00.0"),     function("03:00.1"),
          bridge("02:01.0", 4, 5), bridge("04:00.0", 5, 5), function("05:01.0"),
          function("05:02.0"),     function("00:1f.0")};
}

TEST(Topology, FunctionsAreBehindTheBridgeWhoseBusTheyAreOn) {
  const Topology topology = build_topology(machine(), kRoot);
  expect_each_function_once(topology);
  EXPECT_THAT(topology.faults, IsEmpty());
  const std::map<std::string, std::string> expected = {{"0000:00:00.0", ""},
                                                       {"0000:00:05.0", ""},
                                                       {"0000:00:1f.0", ""},
                                                       {"0000:01:00.0", "0000:00:05.0"},
                                                       {"0000:02:00.0", "0000:01:00.0"},
                                                       {"0000:02:01.0", "0000:01:00.0"},
                                                       {"0000:03:00.0", "0000:02:00.0"},
                                                       {"0000:03:00.1", "0000:02:00.0"},
                                                       {"0000:04:00.0", "0000:02:01.0"},
                                                       {"0000:05:01.0", "0000:04:00.0"},
                                                       {"0000:05:02.0", "0000:04:00.0"}};
  EXPECT_EQ(parents(topology), expected);
  EXPECT_EQ(topology.nodes[*topology.find(at("02:01.0"))].buses,
            (BridgeBuses{.secondary = 4, .subordinate = 5}));
  EXPECT_EQ(topology.nodes[*topology.find(at("02:01.0"))].header_type, 1);
  EXPECT_EQ(topology.nodes[*topology.find(at("03:00.1"))].header_type, 0);
  EXPECT_EQ(topology.find(at("03:00.2")), std::nullopt);
}

TEST(Topology, SegmentsDoNotMix) {
  const RootBus roots[] = {{.bus = {0, 0}}, {.bus = {1, 0}}};
  const Topology topology =
      build_topology({bridge("0000:00:01.0", 1, 1), bridge("0001:00:02.0", 1, 1),
                      function("0000:01:00.0"), function("0001:01:00.0")},
                     roots);
  EXPECT_THAT(topology.faults, IsEmpty());
  EXPECT_EQ(parents(topology).at("0000:01:00.0"), "0000:00:01.0");
  EXPECT_EQ(parents(topology).at("0001:01:00.0"), "0001:00:02.0");
}

TEST(Topology, AVirtualFunctionIsWhereItsPhysicalFunctionIs) {
  const Topology topology = build_topology(
      {bridge("00:01.0", 1, 2), function("01:00.0"), virtual_function("01:00.1", "01:00.0"),
       virtual_function("02:00.0", "01:00.0")},
      kRoot);
  EXPECT_THAT(topology.faults, IsEmpty());
  EXPECT_EQ(parents(topology).at("0000:02:00.0"), "0000:00:01.0");
  EXPECT_THAT(hot_reset_set(topology, at("01:00.1")),
              ElementsAre(at("01:00.0"), at("01:00.1"), at("02:00.0")));
  EXPECT_THAT(hot_reset_set(topology, at("02:00.0")), IsEmpty()) << "its bus has no bridge";
}

TEST(Topology, AHotResetTakesAllBehindTheSameBridge) {
  const Topology topology = build_topology(machine(), kRoot);
  const auto of = [&](const char* bdf) { return hot_reset_set(topology, at(bdf)); };
  EXPECT_THAT(of("03:00.0"), ElementsAre(at("03:00.0"), at("03:00.1")));
  EXPECT_THAT(of("05:02.0"), ElementsAre(at("05:01.0"), at("05:02.0")));
  EXPECT_THAT(of("02:00.0"), ElementsAre(at("02:00.0"), at("02:01.0"), at("03:00.0"), at("03:00.1"),
                                         at("04:00.0"), at("05:01.0"), at("05:02.0")));
  EXPECT_THAT(of("01:00.0"), SizeIs(8));
  EXPECT_THAT(of("00:05.0"), IsEmpty()) << "on a root bus";
  EXPECT_THAT(of("07:00.0"), IsEmpty()) << "not in the topology";
}

struct Hostile {
  std::string name;
  std::vector<PciFunction> functions;
  std::vector<std::string> faults;
  friend void PrintTo(const Hostile& hostile, std::ostream* out) { *out << hostile.name; }
};

class HostileNumbers : public testing::TestWithParam<Hostile> {};

TEST_P(HostileNumbers, AreToldAndNotFollowed) {
  const Topology topology = build_topology(GetParam().functions, kRoot);
  expect_each_function_once(topology);
  EXPECT_EQ(words(topology), GetParam().faults);
}

const std::vector<Hostile> kHostile = {
    {"ItsOwnBus",
     {bridge("00:01.0", 1, 1), bridge("01:00.0", 1, 1)},
     {"0000:01:00.0: its secondary bus 01 is the bus that it is on"}},
    {"AnAncestorsBus",
     {bridge("00:01.0", 1, 3), bridge("01:00.0", 2, 3), bridge("02:00.0", 3, 3),
      bridge("03:00.0", 1, 3)},
     {"0000:03:00.0: its secondary bus 01 is in front of it, so the bridges form a loop"}},
    {"TheSameBusTwice",
     {bridge("00:01.0", 1, 1), bridge("00:02.0", 1, 1), function("01:00.0")},
     {"0000:00:02.0: its secondary bus 01 already belongs to 0000:00:01.0"}},
    {"TheSameBusTwiceFarApart",
     {bridge("00:01.0", 1, 2), bridge("01:00.0", 2, 2), bridge("00:02.0", 2, 2),
      function("02:00.0")},
     {"0000:01:00.0: its secondary bus 02 already belongs to 0000:00:02.0"}},
    {"LastBelowFirst",
     {bridge("00:01.0", 5, 2), function("00:02.0")},
     {"0000:00:01.0: its subordinate bus 02 is below its secondary bus 05, so it forwards "
      "nothing"}},
    {"LastBelowFirstWithSomethingBehind",
     {bridge("00:01.0", 5, 2), function("05:00.0")},
     {"0000:00:01.0: its subordinate bus 02 is below its secondary bus 05, so it forwards nothing",
      "0000:05:00.0: it is on bus 05, which is neither behind a bridge nor a root bus"}},
    {"Orphans",
     {bridge("00:01.0", 1, 1), function("02:00.0"), function("02:00.1")},
     {"0000:02:00.0: it is on bus 02, which is neither behind a bridge nor a root bus",
      "0000:02:00.1: it is on bus 02, which is neither behind a bridge nor a root bus"}},
    {"AnOrphanedBridgeIsToldAndNotWhatIsBehindIt",
     {bridge("07:00.0", 8, 9), bridge("08:00.0", 9, 9), function("09:00.0")},
     {"0000:07:00.0: it is on bus 07, which is neither behind a bridge nor a root bus"}},
    {"AnOrphanOfAnotherSegment",
     {bridge("0000:00:01.0", 1, 1), function("0001:01:00.0")},
     {"0001:01:00.0: it is on bus 01, which is neither behind a bridge nor a root bus"}},
    {"ALoopThatNothingLeadsTo",
     {bridge("05:00.0", 6, 6), bridge("06:00.0", 5, 6)},
     {"0000:05:00.0: it is on bus 05, which only a loop of bridges leads to",
      "0000:06:00.0: its secondary bus 05 is in front of it, so the bridges form a loop"}},
    {"BehindALoop",
     {bridge("05:00.0", 6, 6), bridge("06:00.0", 5, 6), bridge("06:01.0", 3, 3),
      function("03:00.0")},
     {"0000:06:00.0: it is on bus 06, which only a loop of bridges leads to",
      "0000:06:01.0: it is on bus 06, which only a loop of bridges leads to",
      "0000:05:00.0: its secondary bus 06 is in front of it, so the bridges form a loop"}},
    {"ABusOfALoop",
     {bridge("05:00.0", 6, 6), bridge("06:00.0", 5, 6), bridge("07:00.0", 5, 5)},
     {"0000:05:00.0: it is on bus 05, which only a loop of bridges leads to",
      "0000:06:00.0: its secondary bus 05 is in front of it, so the bridges form a loop",
      "0000:07:00.0: it is on bus 07, which is neither behind a bridge nor a root bus",
      "0000:07:00.0: its secondary bus 05 is a bus without a bridge in front of it"}},
    {"OnlyItself",
     {bridge("05:00.0", 5, 5)},
     {"0000:05:00.0: it is on bus 05, which only a loop of bridges leads to",
      "0000:05:00.0: its secondary bus 05 is the bus that it is on"}},
    {"OutOfWhatIsPassedOn",
     {bridge("00:01.0", 1, 2), bridge("01:00.0", 2, 4), function("02:00.0")},
     {"0000:01:00.0: its buses 02-04 are not all within 01-02, which 0000:00:01.0 forwards"}},
    {"CutOffBeforeItsNumbers",
     {cut(bridge("00:01.0", 1, 1), 0x1a), function("01:00.0")},
     {"0000:00:01.0: its bus numbers cannot be read, so the devices behind it are unknown",
      "0000:01:00.0: it is on bus 01, which is neither behind a bridge nor a root bus"}},
    {"NoConfigSpaceAtAll",
     {cut(bridge("00:01.0", 1, 1), 0)},
     {"0000:00:01.0: its bus numbers cannot be read, so the devices behind it are unknown"}},
    {"ABridgeThatDoesNotAnswer",
     {silent(bridge("00:01.0", 1, 1))},
     {"0000:00:01.0: its bus numbers cannot be read, so the devices behind it are unknown: it does "
      "not answer: its config space reads as all ones"}},
    {"NoNumbersYetIsNoFault", {bridge("00:01.0", 0, 0), function("00:02.0")}, {}},
    {"AFunctionThatDoesNotAnswerIsNoFault", {silent(function("00:02.0"))}, {}},
    {"Nothing", {}, {}},
};

INSTANTIATE_TEST_SUITE_P(Topology, HostileNumbers, testing::ValuesIn(kHostile),
                         [](const auto& each) { return each.param.name; });

TEST(Topology, ABridgeDoesNotGetTheRootBusOfAnother) {
  const RootBus roots[] = {{.bus = {0, 0x10}}, {.bus = {0, 0x40}}};
  const Topology topology =
      build_topology({function("10:00.0"), bridge("40:01.0", 0x10, 0x10)}, roots);
  expect_each_function_once(topology);
  EXPECT_EQ(parents(topology).at("0000:10:00.0"), "");
  EXPECT_THAT(
      words(topology),
      ElementsAre("0000:40:01.0: its secondary bus 10 is a bus without a bridge in front of it"));
}

TEST(Topology, NorOneThatIsToldLater) {
  const RootBus roots[] = {{.bus = {0, 0x10}}, {.bus = {0, 0x40}}};
  const Topology topology =
      build_topology({bridge("10:01.0", 0x40, 0x40), function("40:00.0")}, roots);
  expect_each_function_once(topology);
  EXPECT_EQ(parents(topology).at("0000:40:00.0"), "");
  EXPECT_THAT(
      words(topology),
      ElementsAre("0000:10:01.0: its secondary bus 40 is a bus without a bridge in front of it"));
}

TEST(Topology, ALoopInTheFilesOfSysfsIsToldAndNotFollowed) {
  SysfsTree tree;
  for (const PciFunction& each :
       {bridge("00:01.0", 1, 3), bridge("01:00.0", 2, 3), bridge("02:00.0", 1, 3)}) {
    const std::string name = each.bdf.str();
    tree.add({.bdf = name.c_str(), .bridge = true, .config = each.config});
  }
  const auto topology = read_topology(tree.sysfs());
  ASSERT_TRUE(topology) << topology.error().message();
  expect_each_function_once(*topology);
  EXPECT_THAT(
      words(*topology),
      ElementsAre(
          "0000:02:00.0: its secondary bus 01 is in front of it, so the bridges form a loop"));
}

TEST(Topology, AsManyBridgesInARowAsThereAreBuses) {
  std::vector<PciFunction> functions;
  for (unsigned bus = 0; bus < 255; ++bus) {
    functions.push_back(bridge(Bdf{.bus = static_cast<uint8_t>(bus)}, bus + 1, 255));
  }
  functions.push_back(function("ff:00.0"));
  const Topology topology = build_topology(functions, kRoot);
  expect_each_function_once(topology);
  EXPECT_THAT(topology.faults, IsEmpty());
  EXPECT_THAT(topology.path_to(*topology.find(at("ff:00.0"))), SizeIs(256));
  EXPECT_THAT(hot_reset_set(topology, at("01:00.0")), SizeIs(255));
}

TEST(Topology, ThreeHundredBridgesInARowGoRoundAndEnd) {
  std::vector<PciFunction> functions;
  for (unsigned i = 0; i < 300; ++i) {
    const Bdf bdf{.bus = static_cast<uint8_t>(i), .device = static_cast<uint8_t>(i / 256)};
    functions.push_back(bridge(bdf, (i + 1) % 256, 255));
  }
  const Topology topology = build_topology(functions, kRoot);
  expect_each_function_once(topology);
  // No bridge can have bus 0 behind it, and in the second lap all buses are taken.
  EXPECT_THAT(topology.faults, SizeIs(300 - 256));
}

TEST(Topology, AnyNumbersMakeATreeOfAllFunctions) {
  std::mt19937 engine(20);
  const auto random = [&engine] { return static_cast<unsigned>(engine()); };
  for (unsigned round = 0; round < 3000; ++round) {
    const unsigned buses = 1 + random() % 12;
    std::map<Bdf, PciFunction> functions;
    for (unsigned left = random() % 40; left != 0; --left) {
      const Bdf bdf{.bus = static_cast<uint8_t>(random() % buses),
                    .device = static_cast<uint8_t>(random() % 4)};
      functions[bdf] = bridge(bdf, random() % buses, random() % buses);
    }
    std::vector<PciFunction> all;
    for (const auto& [bdf, function] : functions) all.push_back(function);
    const Topology topology = build_topology(all, kRoot);
    ASSERT_NO_FATAL_FAILURE(expect_each_function_once(topology)) << "round " << round;
    for (const PciFunction& function : all) {
      ASSERT_LE(hot_reset_set(topology, function.bdf).size(), all.size());
    }
  }
}

class TopologyOfSysfs : public testing::Test {
 protected:
  void SetUp() override {
    for (const PciFunction& function : machine()) add(function);
  }
  void add(const PciFunction& function) {
    const std::string bdf = function.bdf.str();
    tree.add({.bdf = bdf.c_str(), .class_code = function.class_code, .config = function.config});
  }
  [[nodiscard]] Topology read() const { return *read_topology(tree.sysfs()); }
  SysfsTree tree;
};

TEST_F(TopologyOfSysfs, IsThatOfItsConfigSpaces) {
  EXPECT_THAT(read().faults, IsEmpty());
  EXPECT_EQ(parents(read()), parents(build_topology(machine(), kRoot)));
}

TEST_F(TopologyOfSysfs, HasTheExtendedConfigSpaceForItsAcs) {
  PciFunction port = bridge("00:06.0", 0x30, 0x30);
  port.config.resize(4096);
  add(port);
  const Topology topology = read();
  EXPECT_EQ(topology.nodes[*topology.find(at("00:06.0"))].function.config.size(), 4096U);
}

TEST_F(TopologyOfSysfs, ABridgeThatGoesTakesAllBehindItAlong) {
  for (const char* bdf : {"05:02.0", "05:01.0", "04:00.0", "02:01.0"}) tree.remove(at(bdf).str());
  EXPECT_THAT(read().faults, IsEmpty());
  EXPECT_THAT(read().nodes, SizeIs(7));
  EXPECT_EQ(read().find(at("05:01.0")), std::nullopt);
}

TEST_F(TopologyOfSysfs, RenumberedBusesLeaveNothingOfTheOldOnes) {
  ASSERT_NE(read().find(at("05:01.0")), std::nullopt);
  for (const char* bdf : {"05:02.0", "05:01.0", "04:00.0"}) tree.remove(at(bdf).str());
  for (const char* bdf : {"02:01.0", "01:00.0", "00:05.0"}) tree.remove(at(bdf).str());
  add(bridge("00:05.0", 1, 0x22));
  add(bridge("01:00.0", 2, 0x22));
  add(bridge("02:01.0", 0x21, 0x22));
  add(bridge("21:00.0", 0x22, 0x22));
  add(function("22:01.0"));
  const Topology now = read();
  EXPECT_THAT(now.faults, IsEmpty());
  EXPECT_EQ(parents(now).at("0000:22:01.0"), "0000:21:00.0");
  EXPECT_EQ(now.find(at("05:01.0")), std::nullopt);
}

TEST_F(TopologyOfSysfs, OfOneWithoutPciThereIsNone) {
  const auto topology = read_topology(Sysfs("/nonexistent"));
  ASSERT_FALSE(topology);
  EXPECT_EQ(topology.error().code, ENOENT);
}

}  // namespace
}  // namespace passthru
