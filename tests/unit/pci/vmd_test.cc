// SPDX-License-Identifier: MIT
// Functions behind a VMD (Intel Volume Management Device), which have a segment of their own.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <map>
#include <random>
#include <string>

#include "pci/sysfs.h"
#include "pci/topology.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/pci/topology_parts.h"
#include "vfio/group.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Bdf kVmd{.device = 0x0e};
constexpr Bdf kPort{.segment = 0x10000, .bus = 0xe0, .device = 6};
constexpr Bdf kDrive{.segment = 0x10000, .bus = 0xe1};

/// A host with a VMD, a port and a drive behind it, and a drive elsewhere.
class Vmd : public testing::Test {
 protected:
  void SetUp() override {
    const std::string behind = "devices/pci0000:00/0000:00:0e.0/pci10000:e0";
    tree.add({.bdf = "0000:00:02.0", .group = 1});
    tree.add({.bdf = "0000:00:0e.0", .class_code = 0x010400, .driver = "vmd", .group = 2});
    tree.add({.bdf = "10000:e0:06.0",
              .class_code = 0x060400,
              .group = 2,
              .config = bridge(kPort, 0xe1, 0xe1).config});
    move("10000:e0:06.0", behind);
    tree.add({.bdf = "10000:e1:00.0", .driver = "nvme", .group = 2});
    move("10000:e1:00.0", behind + "/10000:e0:06.0");
  }

  /// Puts a function where the kernel has it.
  void move(const std::string& bdf, const std::string& below) const {
    const std::filesystem::path link = tree.root() / "bus/pci/devices" / bdf;
    std::filesystem::create_directories(tree.root() / below);
    std::filesystem::rename(std::filesystem::canonical(link), tree.root() / below / bdf);
    std::filesystem::remove(link);
    std::filesystem::create_symlink("../../../" + below + "/" + bdf, link);
  }

  SysfsTree tree;
};

TEST_F(Vmd, Case11FunctionsBehindItAreListed) {
  EXPECT_THAT(*tree.sysfs().functions(), ElementsAre(Bdf{.device = 2}, kVmd, kPort, kDrive));
  EXPECT_EQ(tree.sysfs().function(kDrive)->driver, "nvme");
}

TEST_F(Vmd, Case11IsFoundFromTheFunctionsBehindIt) {
  EXPECT_EQ(tree.sysfs().vmd_of(kDrive), kVmd);
  EXPECT_EQ(tree.sysfs().vmd_of(kVmd), std::nullopt);
  EXPECT_EQ(tree.sysfs().vmd_of({.device = 2}), std::nullopt);
  EXPECT_EQ(tree.sysfs().vmd_of({.device = 3}), std::nullopt) << "no such function";
}

TEST_F(Vmd, Case11AFunctionBehindItIsRefusedWithTheReason) {
  const auto refused = bindable_function(tree.sysfs(), kDrive);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOTSUP);
  EXPECT_THAT(refused.error().message(), HasSubstr("10000:e1:00.0"));
  EXPECT_THAT(refused.error().cause, HasSubstr("behind the VMD 0000:00:0e.0"));
  EXPECT_THAT(refused.error().advice, HasSubstr("Assign 0000:00:0e.0"));
  EXPECT_TRUE(bindable_function(tree.sysfs(), kVmd)) << "the VMD itself can be assigned";
  EXPECT_TRUE(bindable_function(tree.sysfs(), {.device = 2}));
}

TEST_F(Vmd, Case11FunctionsBehindItAreBelowItInTheTree) {
  const auto topology = read_topology(tree.sysfs());
  ASSERT_TRUE(topology) << topology.error().message();
  EXPECT_THAT(topology->faults, IsEmpty());
  const std::map<std::string, std::string> expected = {{"0000:00:02.0", ""},
                                                       {"0000:00:0e.0", ""},
                                                       {"10000:e0:06.0", "0000:00:0e.0"},
                                                       {"10000:e1:00.0", "10000:e0:06.0"}};
  EXPECT_EQ(parents(*topology), expected);
  expect_each_function_once(*topology);
}

TEST_F(Vmd, Case11AHotResetStaysBehindThePortOfItsSegment) {
  const auto topology = read_topology(tree.sysfs());
  ASSERT_TRUE(topology);
  EXPECT_THAT(hot_reset_set(*topology, kDrive), ElementsAre(kDrive));
  EXPECT_THAT(hot_reset_set(*topology, kPort), IsEmpty()) << "on the root bus of the VMD";
}

TEST(VmdTree, Case11ABridgeBehindAVmdDoesNotGetABusOfAnotherSegment) {
  const RootBus roots[] = {{.bus = {0, 0}}, {.bus = {0x10000, 1}, .vmd = kVmd}};
  const Topology topology =
      build_topology({function("00:0e.0"), bridge("00:1c.0", 1, 1), function("01:00.0"),
                      bridge("10000:01:00.0", 2, 2), function("10000:02:00.0")},
                     roots);
  EXPECT_THAT(topology.faults, IsEmpty());
  EXPECT_EQ(parents(topology).at("0000:01:00.0"), "0000:00:1c.0");
  EXPECT_EQ(parents(topology).at("10000:01:00.0"), "0000:00:0e.0");
  EXPECT_EQ(parents(topology).at("10000:02:00.0"), "10000:01:00.0");
}

TEST(VmdTree, Case11RootBusesWithoutAWayFromTheHostAreRoots) {
  struct Case {
    const char* what;
    RootBus first, second;
    const char* parent_of_second;
  };
  const Case cases[] = {
      {"the VMD has left",
       {.bus = {0x10000, 0}, .vmd = kVmd},
       {.bus = {0x10001, 0}, .vmd = kVmd},
       ""},
      {"behind itself",
       {.bus = {0x10000, 0}, .vmd = at("10000:00:00.0")},
       {.bus = {0x10001, 0}, .vmd = at("10001:00:00.0")},
       ""},
      {"behind each other",
       {.bus = {0x10000, 0}, .vmd = at("10001:00:00.0")},
       {.bus = {0x10001, 0}, .vmd = at("10000:00:00.0")},
       "10000:00:00.0"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    const RootBus roots[] = {c.first, c.second};
    const Topology topology =
        build_topology({function("10000:00:00.0"), function("10001:00:00.0")}, roots);
    expect_each_function_once(topology);
    EXPECT_THAT(topology.faults, IsEmpty());
    EXPECT_EQ(parents(topology).at("10000:00:00.0"), "");
    EXPECT_EQ(parents(topology).at("10001:00:00.0"), c.parent_of_second);
  }
}

TEST(VmdTree, Case11AnyHostBridgesMakeATreeOfAllFunctions) {
  std::mt19937 engine(11);
  const auto random = [&engine] { return static_cast<unsigned>(engine()); };
  const auto any = [&random](unsigned device) {
    return Bdf{.segment = 0x10000 + random() % 3,
               .bus = static_cast<uint8_t>(random() % 4),
               .device = static_cast<uint8_t>(device)};
  };
  for (unsigned round = 0; round < 3000; ++round) {
    std::map<Bdf, PciFunction> functions;
    for (unsigned left = random() % 30; left != 0; --left) {
      const Bdf bdf = any(random() % 3);
      functions[bdf] = bridge(bdf, random() % 4, random() % 4);
    }
    std::vector<RootBus> roots;
    for (unsigned left = random() % 6; left != 0; --left) {
      const Bdf first = any(0);
      roots.push_back({.bus = {first.segment, first.bus}, .vmd = any(random() % 3)});
    }
    std::vector<PciFunction> all;
    for (const auto& [bdf, function] : functions) all.push_back(function);
    const Topology topology = build_topology(all, roots);
    ASSERT_NO_FATAL_FAILURE(expect_each_function_once(topology)) << "round " << round;
    for (const PciFunction& function : all) {
      ASSERT_LE(hot_reset_set(topology, function.bdf).size(), all.size());
    }
  }
}

}  // namespace
}  // namespace passthru
