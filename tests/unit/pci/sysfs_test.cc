// SPDX-License-Identifier: MIT
// Tests of reading a PCI function in sysfs, complete or with missing parts.
#include "pci/sysfs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST(Sysfs, ReadsWhatAFunctionIs) {
  SysfsTree tree;
  tree.add({.driver = "nvme", .group = 7});
  tree.put("bus/pci/devices/0000:00:02.0/numa_node", "1\n");
  tree.put("bus/pci/devices/0000:00:02.0/reset_method", "flr bus\n");
  const auto function = tree.sysfs().function(kDevice);
  ASSERT_TRUE(function) << function.error().message();
  EXPECT_EQ(function->bdf, kDevice);
  EXPECT_EQ(function->vendor, 0x1b36);
  EXPECT_EQ(function->device, 0x0010);
  EXPECT_EQ(function->subsystem_vendor, 0x1af4);
  EXPECT_EQ(function->subsystem_device, 0x1100);
  EXPECT_EQ(function->class_code, 0x010802U);
  EXPECT_EQ(function->revision, 2);
  EXPECT_EQ(function->driver, "nvme");
  EXPECT_EQ(function->driver_override, "");
  EXPECT_FALSE(function->on_vfio);
  EXPECT_EQ(function->iommu_group, 7U);
  EXPECT_EQ(function->numa_node, 1U);
  EXPECT_FALSE(function->bridge);
  EXPECT_THAT(function->reset_methods, ElementsAre("flr", "bus"));
  EXPECT_EQ(function->config.size(), 256U);
}

TEST(Sysfs, OnlyACallerThatNeedsItReadsTheExtendedConfigSpace) {
  SysfsTree tree;
  tree.add({.config = std::vector<std::byte>(4096)});
  EXPECT_EQ(tree.sysfs().function(kDevice)->config.size(), 256U);
  EXPECT_EQ(tree.sysfs().function(kDevice, ConfigPart::Extended)->config.size(), 4096U);
}

TEST(Sysfs, AFunctionWithoutDriverGroupNodeAndResetHasNone) {
  SysfsTree tree;
  tree.add({.group = std::nullopt});
  const auto function = tree.sysfs().function(kDevice);
  EXPECT_EQ(function->driver, "");
  EXPECT_EQ(function->iommu_group, std::nullopt);
  EXPECT_EQ(function->numa_node, std::nullopt);
  EXPECT_THAT(function->reset_methods, IsEmpty());
}

TEST(Sysfs, AttributesThatAreGarbageAreZero) {
  SysfsTree tree;
  tree.add({});
  tree.put("bus/pci/devices/0000:00:02.0/vendor", "0x12345\n");
  tree.put("bus/pci/devices/0000:00:02.0/device", "zebra\n");
  tree.put("bus/pci/devices/0000:00:02.0/class", "");
  const auto function = tree.sysfs().function(kDevice);
  EXPECT_EQ(function->vendor, 0);
  EXPECT_EQ(function->device, 0);
  EXPECT_EQ(function->class_code, 0U);
}

TEST(Sysfs, ListsFunctionsInOrderAndPassesOverWhatIsNoAddress) {
  SysfsTree tree;
  tree.add({.bdf = "0000:01:00.0"}).add({.bdf = "0000:00:1f.3"}).add({.bdf = "0000:00:02.0"});
  tree.put("bus/pci/devices/00001:e0:06.0/vendor", "0x8086\n");
  EXPECT_THAT(*tree.sysfs().functions(),
              ElementsAre(Bdf{.device = 2}, Bdf{.device = 0x1f, .function = 3}, Bdf{.bus = 1}));
}

TEST(Sysfs, RootBusesAreThoseBehindNoBridge) {
  SysfsTree tree;
  const auto put = [&tree](const std::string& bdf, const std::string& place) {
    std::filesystem::create_symlink("../../../devices/" + place + "/" + bdf,
                                    tree.root() / "bus/pci/devices" / bdf);
  };
  put("0000:00:02.0", "pci0000:00");
  put("0000:00:03.0", "pci0000:00");
  put("0000:01:00.0", "pci0000:00/0000:00:03.0");
  put("0000:80:00.0", "pci0000:80");
  put("0001:40:00.0", "platform/soc/pci0001:40");
  put("0000:02:00.1", "pci0000:00");  // a virtual function of a device on bus 0
  put("10000:e0:06.0", "pci0000:00/0000:00:0e.0/pci10000:e0");
  put("0000:03:00.0", "pcie-something");
  put("0000:04:00.0", "bus0000:04");
  EXPECT_THAT(
      tree.sysfs().root_buses(),
      ElementsAre(RootBus{.bus = {0, 0}}, RootBus{.bus = {0, 0x80}}, RootBus{.bus = {1, 0x40}},
                  RootBus{.bus = {0x10000, 0xe0}, .vmd = Bdf{.device = 0x0e}}));
  EXPECT_THAT(Sysfs("/nonexistent").root_buses(), IsEmpty());
}

TEST(Sysfs, AVirtualFunctionKnowsItsPhysicalFunction) {
  SysfsTree tree;
  tree.add({});
  EXPECT_EQ(tree.sysfs().function(kDevice)->physical_function, std::nullopt);
  std::filesystem::create_symlink("../0000:00:01.3",
                                  tree.root() / "bus/pci/devices/0000:00:02.0/physfn");
  EXPECT_EQ(tree.sysfs().function(kDevice)->physical_function, (Bdf{.device = 1, .function = 3}));
}

TEST(Sysfs, AFunctionWithSrIovKnowsHowManyVirtualFunctionsItHas) {
  SysfsTree tree;
  tree.add({});
  EXPECT_EQ(tree.sysfs().function(kDevice)->virtual_functions, std::nullopt);
  tree.put("bus/pci/devices/0000:00:02.0/sriov_totalvfs", "8\n");
  tree.put("bus/pci/devices/0000:00:02.0/sriov_numvfs", "2\n");
  EXPECT_EQ(tree.sysfs().function(kDevice)->virtual_functions,
            (VirtualFunctions{.enabled = 2, .possible = 8}));
}

TEST(Sysfs, AMachineWithoutPciSaysSo) {
  const auto functions = Sysfs("/nonexistent").functions();
  ASSERT_FALSE(functions);
  EXPECT_EQ(functions.error().code, ENOENT);
  EXPECT_EQ(functions.error().message(),
            "cannot list /nonexistent/bus/pci/devices: sysfs shows no PCI bus");
}

TEST(Sysfs, NoSuchDeviceSaysWhereToLook) {
  SysfsTree tree;
  const auto function = tree.sysfs().function(Bdf{.device = 0x1e});
  ASSERT_FALSE(function);
  EXPECT_EQ(function.error().code, ENOENT);
  EXPECT_EQ(
      function.error().message(),
      "0000:00:1e.0: cannot find the device: this machine has no PCI function at this address. "
      "'passthru list' shows the devices of this machine");
}

TEST(Sysfs, ADriverBuiltOnVfioIsKnownByItsVfioDevice) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.0", .driver = "vfio-pci"});
  tree.add({.bdf = "0000:00:03.0", .driver = "mlx5_vfio_pci", .vfio_dev = true});
  tree.add({.bdf = "0000:00:04.0", .driver = "mlx5_core"});
  EXPECT_TRUE(tree.sysfs().function(Bdf{.device = 2})->on_vfio);
  EXPECT_TRUE(tree.sysfs().function(Bdf{.device = 3})->on_vfio);
  EXPECT_FALSE(tree.sysfs().function(Bdf{.device = 4})->on_vfio);
}

TEST(Sysfs, KnowsTheMembersOfAGroup) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:1c.0", .driver = "pcieport", .group = 3, .bridge = true});
  tree.add({.bdf = "0000:01:00.0", .driver = "vfio-pci", .group = 3});
  tree.add({.bdf = "0000:02:00.0", .driver = "e1000e", .group = 4});
  const auto members = tree.sysfs().group(3);
  ASSERT_EQ(members->size(), 2U);
  EXPECT_EQ(members->at(0).name, "0000:00:1c.0");
  EXPECT_TRUE(members->at(0).bridge);
  EXPECT_EQ(members->at(1).driver, "vfio-pci");
  EXPECT_TRUE(members->at(1).on_vfio);
  EXPECT_EQ(tree.sysfs().group(5).error().code, ENOENT);
}

}  // namespace
}  // namespace passthru
