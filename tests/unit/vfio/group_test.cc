// SPDX-License-Identifier: MIT
// Tests of which devices can be assigned, and of the exact errors about the others.
#include "vfio/group.h"

#include <gtest/gtest.h>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

TEST(AssignableGroup, IsTheGroupOfADeviceOnVfioPciAlone) {
  SysfsTree tree;
  tree.add({.driver = "vfio-pci", .group = 12});
  EXPECT_EQ(assignable_group(tree.sysfs(), kDevice).value(), 12U);
}

TEST(AssignableGroup, HarmlessNeighboursDoNotBlock) {
  SysfsTree tree;
  tree.add({.driver = "vfio-pci", .group = 1});
  tree.add({.bdf = "0000:00:01.0", .driver = "pcieport", .group = 1, .bridge = true});
  tree.add({.bdf = "0000:00:02.1", .driver = "pci-stub", .group = 1});
  tree.add({.bdf = "0000:00:02.2", .driver = "", .group = 1});
  tree.add({.bdf = "0000:00:02.3", .driver = "mlx5_vfio_pci", .group = 1, .vfio_dev = true});
  EXPECT_TRUE(assignable_group(tree.sysfs(), kDevice));
}

struct Refusal {
  const char* name;
  void (*lay_out)(SysfsTree& tree);
  int code;
  const char* message;
};

class AssignableGroupRefuses : public testing::TestWithParam<Refusal> {};

TEST_P(AssignableGroupRefuses, AndSaysWhyAndWhatToDo) {
  SysfsTree tree;
  GetParam().lay_out(tree);
  const auto group = assignable_group(tree.sysfs(), kDevice);
  ASSERT_FALSE(group);
  EXPECT_EQ(group.error().code, GetParam().code);
  EXPECT_EQ(group.error().message(), GetParam().message);
}

INSTANTIATE_TEST_SUITE_P(
    All, AssignableGroupRefuses,
    testing::Values(
        Refusal{"NoSuchDevice", [](SysfsTree& tree) { tree.add({.bdf = "0000:00:03.0"}); }, ENOENT,
                "0000:00:02.0: cannot find the device: this machine has no PCI function at this "
                "address. "
                "'passthru list' shows the devices of this machine"},
        Refusal{
            "ABridge",
            [](SysfsTree& tree) { tree.add({.driver = "pcieport", .group = 1, .bridge = true}); },
            EINVAL,
            "0000:00:02.0: cannot assign the device: it is a bridge. Assign the devices behind it "
            "instead"},
        Refusal{"NoIommuInTheMachine",
                [](SysfsTree& tree) { tree.add({.driver = "nvme", .group = std::nullopt}); },
                ENODEV,
                "0000:00:02.0: cannot assign the device: no IOMMU. Enable VT-d or AMD-Vi in the "
                "firmware; for VT-d, also boot Linux with intel_iommu=on"},
        Refusal{"NoIommuForThisDevice",
                [](SysfsTree& tree) {
                  tree.add({.driver = "nvme", .group = std::nullopt})
                      .add({.bdf = "0000:00:03.0", .group = 0});
                },
                ENODEV,
                "0000:00:02.0: cannot assign the device: no IOMMU translates its DMA. Only devices "
                "behind an "
                "IOMMU can be assigned"},
        Refusal{
            "BoundToItsHostDriver", [](SysfsTree& tree) { tree.add({.driver = "nvme"}); }, ENODEV,
            "0000:00:02.0: cannot assign the device: bound to nvme, not to vfio-pci. Bind it with "
            "'passthru bind 0000:00:02.0'"},
        Refusal{"BoundToNothing", [](SysfsTree& tree) { tree.add({}); }, ENODEV,
                "0000:00:02.0: cannot assign the device: not bound to vfio-pci. Bind it with "
                "'passthru bind 0000:00:02.0'"},
        Refusal{
            "GroupNotViable",
            [](SysfsTree& tree) {
              tree.add({.driver = "vfio-pci", .group = 5});
              tree.add({.bdf = "0000:00:02.1", .driver = "e1000e", .group = 5});
              tree.add({.bdf = "0000:00:02.2", .driver = "", .group = 5});
              tree.add({.bdf = "0000:00:02.3", .driver = "xhci_hcd", .group = 5});
              tree.add({.bdf = "0000:00:03.0", .driver = "ahci", .group = 6});
            },
            EPERM,
            "0000:00:02.0: cannot assign the device: its IOMMU group 5 is shared with 0000:00:02.1 "
            "(e1000e), 0000:00:02.3 (xhci_hcd). Bind every device of the group: 'passthru bind "
            "0000:00:02.1 0000:00:02.3'. Or move the device to another slot"},
        // `passthru bind` refuses a bridge, so the hint must not name that command for it.
        Refusal{
            "BridgeWithADriverOfItsOwn",
            [](SysfsTree& tree) {
              tree.add({.driver = "vfio-pci", .group = 5});
              tree.add({.bdf = "0000:00:01.0", .driver = "shpchp", .group = 5, .bridge = true});
            },
            EPERM,
            "0000:00:02.0: cannot assign the device: its IOMMU group 5 is shared with 0000:00:01.0 "
            "(shpchp). Unbind their drivers: 'echo 0000:00:01.0 > "
            "/sys/kernel/iommu_groups/5/devices/0000:00:01.0/driver/unbind'. Or move the device to "
            "another slot"}),
    [](const auto& test) { return test.param.name; });

// The device behind a root port without ACS shares the port's group. pcieport does no DMA.
TEST(AssignableGroup, Case27ARootPortWithoutAcsIsNotCountedAndNotBound) {
  for (const char* driver : {"pcieport", ""}) {
    SysfsTree tree;
    tree.add({.bdf = "0000:00:01.0",
              .class_code = 0x060400,
              .driver = driver,
              .group = 7,
              .bridge = true});
    tree.add({.bdf = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
    const Bdf behind{.bus = 1};
    EXPECT_EQ(assignable_group(tree.sysfs(), behind).value(), 7U) << driver;
    EXPECT_TRUE(blocking_members(tree.sysfs(), 7)->empty()) << driver;
    EXPECT_EQ(functions_to_bind(tree.sysfs(), behind).value(), std::vector<Bdf>{behind}) << driver;
    EXPECT_EQ(functions_of_group(tree.sysfs(), behind).value(), std::vector<Bdf>{behind}) << driver;
  }
}

// Another driver of a bridge may do DMA, so the kernel refuses the group.
TEST(AssignableGroup, Case27ARootPortWithADriverOfItsOwnIsCounted) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:01.0",
            .class_code = 0x060400,
            .driver = "shpchp",
            .group = 7,
            .bridge = true});
  tree.add({.bdf = "0000:01:00.0", .driver = "vfio-pci", .group = 7});
  EXPECT_EQ(assignable_group(tree.sysfs(), Bdf{.bus = 1}).error().code, EPERM);
}

struct Neighbour {
  const char* name;
  uint32_t class_code;
  const char* driver;
  bool taken;
};

class FunctionsToBind : public testing::TestWithParam<Neighbour> {};

TEST_P(FunctionsToBind, AreTheNamedFunctionAndWhatBlocksItsGroup) {
  SysfsTree tree;
  tree.add({.driver = "ahci", .group = 3});
  tree.add({.bdf = "0000:00:02.1",
            .class_code = GetParam().class_code,
            .driver = GetParam().driver,
            .group = 3});
  std::vector<Bdf> expected{kDevice};
  if (GetParam().taken) expected.push_back({.device = 2, .function = 1});
  EXPECT_EQ(functions_to_bind(tree.sysfs(), kDevice).value(), expected);
}

INSTANTIATE_TEST_SUITE_P(
    Neighbours, FunctionsToBind,
    testing::Values(Neighbour{"IsaBridgeWithoutDriver", 0x060100, "", false},
                    Neighbour{"HostBridgeWithoutDriver", 0x060000, "", false},
                    Neighbour{"IommuWithoutDriver", 0x080600, "", false},
                    Neighbour{"SoundWithoutDriver", 0x040300, "", false},
                    Neighbour{"SoundWithDriver", 0x040300, "snd_hda_intel", true},
                    Neighbour{"IsaBridgeWithDriver", 0x060100, "lpc_ich", true},
                    Neighbour{"OnPciStub", 0x040300, "pci-stub", false},
                    Neighbour{"OnVfioPci", 0x040300, "vfio-pci", true}),
    [](const auto& neighbour) { return neighbour.param.name; });

TEST(FunctionsToBindOfADeviceWithoutDriver, ContainThisDevice) {
  SysfsTree tree;
  tree.add({.class_code = 0x088000, .driver = "", .group = 3});
  EXPECT_EQ(functions_to_bind(tree.sysfs(), kDevice).value(), std::vector<Bdf>{kDevice});
}

TEST(FunctionsOfGroup, AreAllButBridgesOnceEachInOrder) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:02.1", .driver = "vfio-pci", .group = 5});
  tree.add({.bdf = "0000:00:02.0", .driver = "nvme", .group = 5});
  tree.add({.bdf = "0000:00:01.0", .driver = "pcieport", .group = 5, .bridge = true});
  tree.add({.bdf = "0000:00:03.0", .group = 6});
  tree.put("kernel/iommu_groups/5/devices/platform.0/x", "");
  const auto functions = functions_of_group(tree.sysfs(), kDevice);
  ASSERT_TRUE(functions) << functions.error().message();
  EXPECT_EQ(*functions, (std::vector<Bdf>{kDevice, Bdf{.device = 2, .function = 1}}));
}

TEST(FunctionsOfGroup, AreNoneOfABridgeNorOfADeviceWithoutGroup) {
  SysfsTree tree;
  tree.add({.bdf = "0000:00:01.0", .group = 1, .bridge = true}).add({.group = std::nullopt});
  EXPECT_EQ(functions_of_group(tree.sysfs(), Bdf{.device = 1}).error().code, EINVAL);
  EXPECT_EQ(functions_of_group(tree.sysfs(), kDevice).error().code, ENODEV);
  EXPECT_EQ(functions_of_group(tree.sysfs(), Bdf{.device = 7}).error().code, ENOENT);
}

}  // namespace
}  // namespace passthru
