// SPDX-License-Identifier: MIT
// Tests of the names of interfaces and disks, and of the functions that have them.
#include "pci/kernel_names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using Kind = KernelName::Kind;
using testing::ElementsAre;

constexpr const char* kCard = "0000:00:02.0";
constexpr Bdf kCardBdf{.device = 2};

std::vector<KernelName> names_of(const SysfsTree& tree) {
  return kernel_names(tree.sysfs());
}

TEST(KernelNames, AnInterfaceBelongsToTheFunctionThatHasIt) {
  SysfsTree tree;
  tree.add({.bdf = kCard}).add_child(kCard, "virtio0/net/eth0", "net");
  EXPECT_THAT(names_of(tree),
              ElementsAre(KernelName{.name = "eth0", .kind = Kind::Interface, .bdf = kCardBdf}));
}

TEST(KernelNames, ADriveHasAControllerADiskAndPartitions) {
  SysfsTree tree;
  tree.add({.bdf = kCard})
      .add_child(kCard, "nvme/nvme0", "nvme")
      .add_child(kCard, "nvme/nvme0/nvme0n1", "block")
      .add_child(kCard, "nvme/nvme0/nvme0n1/nvme0n1p1", "block")
      .put("bus/pci/devices/0000:00:02.0/nvme/nvme0/nvme0n1/nvme0n1p1/partition", "1\n");
  EXPECT_THAT(
      names_of(tree),
      ElementsAre(KernelName{.name = "nvme0", .kind = Kind::Controller, .bdf = kCardBdf},
                  KernelName{.name = "nvme0n1", .kind = Kind::Disk, .bdf = kCardBdf},
                  KernelName{.name = "nvme0n1p1", .kind = Kind::Partition, .bdf = kCardBdf}));
}

TEST(KernelNames, ADeviceBehindABridgeBelongsToTheLastFunction) {
  SysfsTree tree;
  tree.put("devices/pci0000:00/0000:00:1c.0/0000:02:00.0/net/eth1/address", "\n")
      .link("class/net/eth1", "devices/pci0000:00/0000:00:1c.0/0000:02:00.0/net/eth1");
  EXPECT_THAT(names_of(tree), ElementsAre(KernelName{
                                  .name = "eth1", .kind = Kind::Interface, .bdf = Bdf{.bus = 2}}));
}

TEST(KernelNames, ADiskOnUsbSaysSo) {
  SysfsTree tree;
  tree.add({.bdf = kCard})
      .add_child(kCard, "usb1/1-1/1-1:1.0/host0/target0:0:0/0:0:0:0/block/sda", "block");
  EXPECT_THAT(
      names_of(tree),
      ElementsAre(KernelName{.name = "sda", .kind = Kind::Disk, .bdf = kCardBdf, .usb = true}));
}

TEST(KernelNames, WhatIsNotOnPciHasNoFunction) {
  SysfsTree tree;
  tree.put("devices/virtual/net/lo/address", "\n").link("class/net/lo", "devices/virtual/net/lo");
  tree.put("class/net/bonding_masters", "\n");
  EXPECT_THAT(names_of(tree), ElementsAre(KernelName{.name = "lo", .kind = Kind::Interface}));
}

TEST(KernelNames, ADriveWithTwoPathsBelongsToBothFunctions) {
  SysfsTree tree;
  tree.add({.bdf = kCard}).add_child(kCard, "nvme/nvme0/nvme0c0n1", "block");
  tree.add({.bdf = "0000:00:03.0"}).add_child("0000:00:03.0", "nvme/nvme1/nvme0c1n1", "block");
  const std::string disk = "devices/virtual/nvme-subsystem/nvme-subsys0/nvme0n1";
  tree.put(disk + "/size", "8\n").link("class/block/nvme0n1", disk);
  tree.put(disk + "/nvme0n1p1/partition", "1\n").link("class/block/nvme0n1p1", disk + "/nvme0n1p1");
  const Bdf other{.device = 3};
  EXPECT_THAT(names_of(tree),
              ElementsAre(KernelName{.name = "nvme0n1", .kind = Kind::Disk, .bdf = kCardBdf},
                          KernelName{.name = "nvme0n1", .kind = Kind::Disk, .bdf = other},
                          KernelName{.name = "nvme0n1p1", .kind = Kind::Partition, .bdf = kCardBdf},
                          KernelName{.name = "nvme0n1p1", .kind = Kind::Partition, .bdf = other}));
}

TEST(KernelNames, ASlashOfANameBelowDevComesBack) {
  SysfsTree tree;
  tree.add({.bdf = kCard}).add_child(kCard, "block/cciss!c0d0", "block");
  EXPECT_THAT(names_of(tree),
              ElementsAre(KernelName{.name = "cciss/c0d0", .kind = Kind::Disk, .bdf = kCardBdf}));
}

}  // namespace
}  // namespace passthru
