// SPDX-License-Identifier: MIT
// Tests of reading a host's facts from directory trees that look like a host.
#include "prepare/host_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <map>

#include "tests/fakes/sysfs_tree.h"
#include "vfio/unsafe_interrupts.h"

namespace passthru {
namespace {

class Facts : public testing::Test {
 protected:
  HostRoots roots() const {
    return {.sys = tree.root(), .proc = tree.root() / "run/proc", .dev = tree.root() / "run/dev"};
  }
  HostFacts host() const { return host_facts(roots()); }
  DeviceFacts device() const {
    const auto facts = device_facts(roots(), kDevice);
    EXPECT_TRUE(facts) << facts.error().message();
    return facts.value_or(DeviceFacts());
  }

  SysfsTree tree;
};

TEST_F(Facts, ABareMachineHasNothing) {
  const HostFacts facts = host();
  EXPECT_EQ(facts.iommu_groups, 0U);
  EXPECT_FALSE(facts.vfio || facts.vfio_iommu_type1 || facts.vfio_pci || facts.iommufd);
  EXPECT_FALSE(facts.interrupt_remapping.has_value());
  EXPECT_FALSE(facts.unsafe_interrupts.has_value());
  EXPECT_EQ(facts.container_errno, ENOENT);
  EXPECT_TRUE(facts.lockable.has_value()) << "the limit comes from getrlimit";
}

TEST_F(Facts, AMachineWithAllOfItHasAllOfIt) {
  tree.add({.group = 0}).add({.bdf = "0000:00:03.0", .group = 1}).add_driver("vfio-pci");
  tree.put("module/vfio/refcnt", "1\n");
  tree.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
  tree.put("run/dev/vfio/vfio", "").put("run/dev/iommu", "");
  tree.put("run/proc/interrupts", " 24: 1 IR-IO-APIC 5-edge ACPI:Ged\n");
  const HostFacts facts = host();
  EXPECT_EQ(facts.iommu_groups, 2U);
  EXPECT_TRUE(facts.vfio && facts.vfio_iommu_type1 && facts.vfio_pci && facts.iommufd);
  EXPECT_EQ(facts.interrupt_remapping, true);
  EXPECT_EQ(facts.unsafe_interrupts, false);
  EXPECT_EQ(facts.container_errno, 0);
}

TEST_F(Facts, Case1MemoryThatFirmwareReservesForTheGroupIsFound) {
  tree.add({.group = 5});
  EXPECT_TRUE(device().direct_regions.empty()) << "no file";
  tree.put("kernel/iommu_groups/5/reserved_regions",
           "0x00000000df000000 0x00000000df1fffff direct-relaxable\n"
           "0x00000000fee00000 0x00000000feefffff msi\n");
  EXPECT_TRUE(device().direct_regions.empty());
  tree.put("kernel/iommu_groups/5/reserved_regions",
           "0x00000000df000000 0x00000000df1fffff direct\n");
  ASSERT_EQ(device().direct_regions.size(), 1U);
  EXPECT_EQ(device().direct_regions[0].first, 0xdf000000U);
}

TEST_F(Facts, Case2ABarThatSomethingElseHasIsFound) {
  tree.add({.driver = "vfio-pci", .group = 5, .vfio_dev = true});
  tree.put("bus/pci/devices/0000:00:02.0/resource",
           "0x00000000f0000000 0x00000000f0003fff 0x0000000000040200\n");
  EXPECT_TRUE(device().held_bars.empty()) << "no map of the memory";
  tree.put("run/proc/iomem", "f0000000-f0003fff : 0000:00:02.0\n  f0000000-f0003fff : vfio-pci\n");
  EXPECT_TRUE(device().held_bars.empty());
  tree.put("run/proc/iomem", "f0000000-f0003fff : 0000:00:02.0\n  f0000000-f0000fff : ramoops\n");
  ASSERT_EQ(device().held_bars.size(), 1U);
  EXPECT_EQ(device().held_bars[0].bar, 0U);
  EXPECT_EQ(device().held_bars[0].holders, std::vector<std::string>{"ramoops"});
}

TEST_F(Facts, Case2ADriverOfTheHostMayHaveItsOwnBar) {
  tree.add({.driver = "nvme", .group = 5});
  tree.put("bus/pci/devices/0000:00:02.0/resource",
           "0x00000000f0000000 0x00000000f0003fff 0x0000000000040200\n");
  tree.put("run/proc/iomem", "f0000000-f0003fff : 0000:00:02.0\n  f0000000-f0003fff : nvme\n");
  EXPECT_TRUE(device().held_bars.empty());
  tree.put("run/proc/iomem", "f0000000-f0003fff : 0000:00:02.0\n  f0000000-f0000fff : BOOTFB\n");
  EXPECT_EQ(device().held_bars.size(), 1U) << "the boot display stays when the driver leaves";
}

TEST_F(Facts, ABuiltInVfioIsKnownByItsClass) {
  tree.put("class/vfio/x", "");
  EXPECT_TRUE(host().vfio);
}

TEST_F(Facts, UnsafeInterruptsAreSeen) {
  tree.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "Y\n");
  EXPECT_EQ(host().unsafe_interrupts, true);
}

// Without type1, iommufd provides /dev/vfio/vfio.
TEST_F(Facts, UnsafeInterruptsAreSeenWhereIommufdStandsInForType1) {
  tree.put("module/kernel/parameters/panic", "0\n");
  EXPECT_EQ(unsafe_interrupts_allowed(tree.root(), Backend::Group).value(), false);
  tree.put("module/iommufd/parameters/allow_unsafe_interrupts", "Y\n");
  EXPECT_EQ(unsafe_interrupts_allowed(tree.root(), Backend::Group).value(), true);
  EXPECT_EQ(unsafe_interrupts_allowed(tree.root(), Backend::Cdev).value(), true);
  EXPECT_EQ(host().unsafe_interrupts, true);
  tree.put("module/vfio_iommu_type1/parameters/allow_unsafe_interrupts", "N\n");
  EXPECT_EQ(unsafe_interrupts_allowed(tree.root(), Backend::Group).value(), false);
}

TEST_F(Facts, TheNamesOfInterruptChipsTellWhetherTheyAreRemapped) {
  const std::map<std::string, std::optional<bool>> cases = {
      {" 24: 1 0 IO-APIC 5-edge x\n 25: 0 0 PCI-MSIX-0000:00:01.0 0-edge virtio0\n", false},
      {" 25: 0 0 PCI-MSI 524288-edge nvme0q0\n", false},
      {" 0: 5 IO-APIC 2-edge timer\n 25: 0 IR-PCI-MSIX-0000:00:01.0 0-edge virtio0\n", true},
      {" 25: 0 0 IR-PCI-MSI 524288-edge nvme0q0\n", true},
      {" 1: 0 XT-PIC i8042\n 9: 0 GICv3 27 Level arch_timer\nDMAR-MSI\n", std::nullopt},
      {"", std::nullopt}};
  for (const auto& [text, remapped] : cases) {
    tree.put("run/proc/interrupts", text);
    EXPECT_EQ(host().interrupt_remapping, remapped) << text;
  }
}

TEST_F(Facts, WhoMayLockMemoryIsNotBoundByTheLimit) {
  tree.put("run/proc/self/status",
           "Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000004000\n");
  EXPECT_EQ(host().lockable, UINT64_MAX);
  for (const char* other : {"CapEff:\t000001ffffffbfff\n", "CapEff:\tx\n", "CapEff:\n", ""}) {
    tree.put("run/proc/self/status", other);
    const auto limit = host().lockable;
    tree.put("run/proc/self/status", "");
    EXPECT_EQ(limit, host().lockable) << other;
  }
}

TEST_F(Facts, ADeviceOfTheHostIsToldWithItsGroupAndItsUses) {
  tree.add({.driver = "e1000e", .group = 5});
  tree.add({.bdf = "0000:00:03.0", .driver = "nvme", .group = 5});
  tree.put("bus/pci/devices/0000:00:02.0/reset_method", "flr bus\n");
  tree.add_child("0000:00:02.0", "net/eth0", "net");
  tree.put("bus/pci/devices/0000:00:02.0/net/eth0/flags", "0x1003\n");
  const DeviceFacts facts = device();
  EXPECT_EQ(facts.function.driver, "e1000e");
  EXPECT_TRUE(facts.resettable);
  ASSERT_EQ(facts.blocking.size(), 1U) << "the device does not block itself";
  EXPECT_EQ(facts.blocking[0].name, "0000:00:03.0");
  ASSERT_TRUE(facts.uses);
  EXPECT_EQ(facts.uses->size(), 1U);
  EXPECT_EQ(facts.group_errno, ENOENT);
}

TEST_F(Facts, ADeviceOnVfioIsNotTheHosts) {
  tree.add({.driver = "vfio-pci", .group = 5}).put("run/dev/vfio/5", "");
  tree.put("run/proc/version", "Linux\n");
  tree.add_child("0000:00:02.0", "block/sda", "block");  // the tree has no mount table for it
  const DeviceFacts facts = device();
  ASSERT_TRUE(facts.uses) << facts.uses.error().message();
  EXPECT_FALSE(facts.resettable);
  EXPECT_EQ(facts.group_errno, 0);
}

TEST_F(Facts, AProcessThatHasADeviceOnVfioOpenUsesIt) {
  tree.add({.driver = "vfio-pci", .group = 971});
  tree.add_process(4711, "qemu", {"/dev/vfio/971"});
  const DeviceFacts facts = device();
  ASSERT_TRUE(facts.uses) << facts.uses.error().message();
  ASSERT_EQ(facts.uses->size(), 1U);
  EXPECT_EQ(facts.uses->front().what, "process 4711 (qemu) has /dev/vfio/971 open");
  EXPECT_EQ(facts.uses->front().remedy, "kill 4711");
}

TEST_F(Facts, AnOlderKernelHasResetWithoutMethods) {
  tree.add({.driver = "vfio-pci"}).put("bus/pci/devices/0000:00:02.0/reset", "");
  EXPECT_TRUE(device().resettable);
}

TEST_F(Facts, ANodeOfSomebodyElseMayNotBeOpened) {
  tree.add({.driver = "vfio-pci", .group = 5});
  for (const char* node : {"run/dev/vfio/5", "run/dev/vfio/vfio"}) {
    tree.put(node, "");
    std::filesystem::permissions(tree.root() / node, std::filesystem::perms::none);
  }
  const bool is_root = ::geteuid() == 0;  // root passes all permission checks
  if (is_root) {
    ASSERT_EQ(::seteuid(65534), 0);
  }
  const int group = device().group_errno;
  const int container = host().container_errno;
  if (is_root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_EQ(group, EACCES);
  EXPECT_EQ(container, EACCES);
}

TEST_F(Facts, WhatCannotBeAssignedHasNoFacts) {
  tree.add({.bdf = "0000:00:01.0", .group = 1, .bridge = true});
  EXPECT_EQ(device_facts(roots(), Bdf{.device = 1}).error().code, EINVAL);
  EXPECT_EQ(device_facts(roots(), kDevice).error().code, ENOENT);
}

}  // namespace
}  // namespace passthru
