// SPDX-License-Identifier: MIT
// Tests of finding a device's uses by the host, and of the exact texts about them.
#include "prepare/in_use.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "prepare/dependents.h"
#include "tests/fakes/sysfs_tree.h"
#include "tests/unit/prepare/uses_text.h"

namespace passthru {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

constexpr const char* kName = "0000:00:02.0";
constexpr const char* kMounts = "run/proc/self/mountinfo";
constexpr const char* kSwaps = "run/proc/swaps";
constexpr const char* kNoSwaps = "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority\n";

class InUse : public testing::Test {
 protected:
  InUse() {
    tree.add({.driver = "nvme"}).put(kMounts, "23 1 0:21 / /proc rw shared:5 - proc proc rw\n");
    tree.put(kSwaps, kNoSwaps);
  }
  // Adds a disk, or a partition below it, with its device number.
  void add_block(const std::string& below_device, const std::string& number) {
    tree.add_child(kName, below_device, "block");
    tree.put("bus/pci/devices/" + std::string(kName) + "/" + below_device + "/dev", number + "\n");
  }
  // Adds a volume on the block device `on`, which is named as in class/block.
  void add_volume(const std::string& name, const std::string& number, const std::string& on) {
    const std::string directory = "devices/virtual/block/" + name;
    tree.link(directory + "/subsystem", "class/block");
    tree.link("class/block/" + name, directory).put(directory + "/dev", number + "\n");
    hold(on, name);
  }
  void hold(const std::string& block, const std::string& holder) {
    tree.link("class/block/" + block + "/holders/" + holder, "class/block/" + holder);
  }
  void add_interface(const std::string& name, const std::string& flags) {
    tree.add_child(kName, "net/" + name, "net");
    tree.put("bus/pci/devices/" + std::string(kName) + "/net/" + name + "/flags", flags + "\n");
  }
  std::vector<std::string> uses() { return uses_text(tree.sysfs(), proc(), kDevice); }
  std::string refusal() {
    const auto unused = require_unused(tree.sysfs(), proc(), tree.root() / "dev", kDevice);
    return unused ? "" : unused.error().message();
  }
  std::filesystem::path proc() const { return tree.root() / "run/proc"; }

  SysfsTree tree;
};

TEST_F(InUse, ADeviceWithoutDisksAndInterfacesCarriesNothing) {
  EXPECT_THAT(uses(), IsEmpty());
}

TEST_F(InUse, ADiskThatNobodyUsesMayGo) {
  add_block("nvme/nvme0/nvme0n1", "259:0");
  add_block("nvme/nvme0/nvme0n1/nvme0n1p1", "259:1");
  tree.put(kMounts, "30 1 8:1 / / rw - ext4 /dev/sda1 rw\n");
  EXPECT_THAT(uses(), IsEmpty());
  EXPECT_EQ(refusal(), "");
}

TEST_F(InUse, AMountedPartitionIsNamedWithItsPlaces) {
  add_block("ata1/host0/target0:0:0/0:0:0:0/block/sda", "8:0");
  add_block("ata1/host0/target0:0:0/0:0:0:0/block/sda/sda1", "8:1");
  tree.put(kMounts,
           "30 1 8:1 / /srv rw,noatime shared:1 master:2 - ext4 /dev/sda1 rw\n"
           "31 1 8:1 /x /mnt/a\\040b rw - ext4 /dev/sda1 rw\n"
           "32 1 8:17 / /else rw - ext4 /dev/sdb1 rw\n");
  EXPECT_THAT(uses(), ElementsAre("sda1 is mounted on /srv, /mnt/a\\040b > umount -A /dev/sda1"));
  EXPECT_EQ(refusal(),
            "0000:00:02.0: cannot bind the device: the host uses it: sda1 is mounted on /srv, "
            "/mnt/a\\040b. Stop these uses first: 'umount -A /dev/sda1'. --force binds it anyway");
}

TEST_F(InUse, AWholeDiskMayBeMounted) {
  add_block("virtio0/block/vda", "254:0");
  tree.put(kMounts, "30 1 254:0 / /srv rw - xfs /dev/vda rw\n");
  EXPECT_THAT(uses(), ElementsAre("vda is mounted on /srv > umount -A /dev/vda"));
}

TEST_F(InUse, TheRootHasNoWayOut) {
  add_block("virtio0/block/vda", "254:0");
  tree.put(kMounts, "30 1 254:0 / / rw - xfs /dev/vda rw\n");
  EXPECT_EQ(
      refusal(),
      "0000:00:02.0: cannot bind the device: the host uses it: vda is mounted on /. --force binds "
      "it anyway");
}

TEST_F(InUse, SwapIsNamed) {
  add_block("nvme/nvme0/nvme0n1", "259:0");
  add_block("nvme/nvme0/nvme0n1/nvme0n1p3", "259:3");
  tree.put(kSwaps, std::string(kNoSwaps) +
                       "/dev/nvme0n1p3 partition 999420 0 -2\n/dev/nvme0n1 file 5 0 -3\n");
  EXPECT_THAT(uses(), ElementsAre("nvme0n1p3 is swap > swapoff /dev/nvme0n1p3"));
}

TEST_F(InUse, AKernelThatDoesNotSwapHasNoSwap) {
  add_block("virtio0/block/vda", "254:0");
  std::filesystem::remove(tree.root() / kSwaps);
  EXPECT_THAT(uses(), IsEmpty());
}

TEST_F(InUse, VolumesAreFollowedToWhatIsMounted) {
  add_block("nvme/nvme0/nvme0n1", "259:0");
  add_block("nvme/nvme0/nvme0n1/nvme0n1p2", "259:2");
  add_volume("dm-0", "253:0", "nvme0n1p2");
  tree.put("devices/virtual/block/dm-0/dm/name", "crypt\n");
  add_volume("dm-1", "253:1", "dm-0");
  tree.put("devices/virtual/block/dm-1/dm/name", "vg-swap\n");
  add_volume("dm-2", "253:2", "dm-0");
  tree.put("devices/virtual/block/dm-2/dm/name", "vg-data\n");
  tree.put(kMounts, "30 1 253:2 / /data rw - ext4 /dev/mapper/vg-data rw\n");
  tree.put(kSwaps, std::string(kNoSwaps) + "/dev/dm-1 partition 999420 0 -2\n");
  EXPECT_THAT(uses(),
              ElementsAre("dm-1 (vg-swap) is built on dm-0 (crypt) > dmsetup remove vg-swap",
                          "dm-2 (vg-data) is built on dm-0 (crypt) > dmsetup remove vg-data",
                          "dm-1 (vg-swap) is swap > swapoff /dev/mapper/vg-swap",
                          "dm-2 (vg-data) is mounted on /data > umount -A /dev/mapper/vg-data",
                          "dm-0 (crypt) is built on nvme0n1p2 > dmsetup remove crypt"));
}

TEST_F(InUse, AnArrayIsAVolumeToo) {
  add_block("virtio0/block/vda", "254:0");
  add_volume("md0", "9:0", "vda");
  EXPECT_THAT(uses(), ElementsAre("md0 is built on vda > mdadm --stop /dev/md0"));
}

TEST_F(InUse, VolumesThatHoldEachOtherAreVisitedOnce) {
  add_block("virtio0/block/vda", "254:0");
  add_volume("md0", "9:0", "vda");
  add_volume("md1", "9:1", "md0");
  hold("md1", "md0");
  hold("md1", "md1");
  hold("vda", "vda");
  hold("vda", "gone");
  EXPECT_THAT(uses(), testing::SizeIs(6));
}

TEST_F(InUse, LinksOfADirectoryAreNotFollowed) {
  add_block("virtio0/block/vda", "254:0");
  tree.link("bus/pci/devices/0000:00:02.0/loop", "bus/pci/devices/0000:00:02.0");
  tree.link("bus/pci/devices/0000:00:02.0/virtio0/other", "bus/pci/devices/0000:00:03.0");
  tree.add({.bdf = "0000:00:03.0"}).add_child("0000:00:03.0", "net/eth0", "net");
  tree.put("bus/pci/devices/0000:00:03.0/net/eth0/flags", "0x1003\n");
  EXPECT_THAT(uses(), IsEmpty());
}

// The function's child is a path to the disk, not the disk itself.
TEST_F(InUse, ADriveOfSeveralPathsIsFoundByItsName) {
  add_block("nvme/nvme3/nvme1c3n2", "0:0");
  tree.link("devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n2/subsystem", "class/block");
  tree.link("class/block/nvme1n2", "devices/virtual/nvme-subsystem/nvme-subsys1/nvme1n2");
  tree.put("class/block/nvme1n2/dev", "259:7\n");
  tree.put(kMounts, "30 1 259:7 / /srv rw - ext4 /dev/nvme1n2 rw\n");
  EXPECT_THAT(uses(), ElementsAre("nvme1n2 is mounted on /srv > umount -A /dev/nvme1n2"));
}

// Its device number in the mount table does not belong to a device.
TEST_F(InUse, BtrfsIsFoundByItsSourceAndItsOtherDisksBySysfs) {
  add_block("ata1/block/sda", "8:0");
  add_block("ata2/block/sdb", "8:16");
  tree.link("fs/btrfs/4a83-11/devices/sda", "class/block/sda");
  tree.link("fs/btrfs/4a83-11/devices/sdb", "class/block/sdb");
  tree.put("fs/btrfs/features/x", "0\n");
  tree.put(kMounts, "30 1 0:25 /@ /home rw - btrfs /dev/sda rw,space_cache\n");
  EXPECT_THAT(uses(), ElementsAre("sda is mounted on /home > umount -A /dev/sda",
                                  "sdb is part of a mounted btrfs"));
}

TEST_F(InUse, AnInterfaceThatIsUpIsInUseAndOneThatIsDownIsNot) {
  add_interface("eth0", "0x1002");
  EXPECT_THAT(uses(), IsEmpty());
  add_interface("eth1", "0x1003");
  EXPECT_THAT(uses(), ElementsAre("network interface eth1 is up > ip link set dev eth1 down"));
  EXPECT_EQ(
      refusal(),
      "0000:00:02.0: cannot bind the device: the host uses it: network interface eth1 is up. Stop "
      "these uses first: 'ip link set dev eth1 down'. --force binds it anyway");
}

TEST_F(InUse, TheDefaultRouteIsTold) {
  add_interface("eth0", "0x1003");
  tree.put("run/proc/net/route",
           "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n"
           "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
           "eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000080\t0\t0\t0\n");  // 0.0.0.0/1
  EXPECT_THAT(uses(), ElementsAre(Not(HasSubstr("default route"))));
  tree.put("run/proc/net/route",
           "Iface\n"
           "eth0\t00000000\t0101A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n");
  EXPECT_THAT(uses(), ElementsAre(HasSubstr("eth0 is up, with a default route")));
  tree.put("run/proc/net/route", "Iface\n");
  const std::string any(32, '0');
  tree.put("run/proc/net/ipv6_route", any + " 00 " + any + " 00 fe80 0400 1 0 3 eth0\n");
  EXPECT_THAT(uses(), ElementsAre(HasSubstr("eth0 is up, with a default route")));
}

TEST_F(InUse, AnInterfaceOfABridgeIsNamedWithIt) {
  add_interface("eth0", "0x1103");
  tree.link("bus/pci/devices/0000:00:02.0/net/eth0/master", "devices/virtual/net/br0");
  tree.put("run/proc/net/route", "Iface\nbr0 00000000 0101A8C0 0003 0 0 0 00000000 0 0 0\n");
  EXPECT_THAT(uses(), ElementsAre(HasSubstr("eth0 is up as part of br0, with a default route")));
}

TEST_F(InUse, ManyUsesAreCounted) {
  for (int i = 1; i <= 9; ++i) add_interface("eth" + std::to_string(i), "0x1003");
  EXPECT_THAT(refusal(),
              HasSubstr("network interface eth4 is up and 5 more. Stop these uses first: "));
  EXPECT_THAT(refusal(), HasSubstr("'ip link set dev eth4 down' and 5 more. --force"));
}

TEST_F(InUse, NamesDoNotActUponTheTerminal) {
  add_interface("eth\x1b[2J", "0x1003");
  add_block("virtio0/block/vda", "254:0");
  tree.put(kMounts,
           "30 1 254:0 / /srv\x1b]0;\x07 rw - ext4 /dev/vda rw\n"
           "31 1 254:0 / /media/\xc2\x9b\xe2\x80\xae rw - ext4 /dev/vda rw\n");
  EXPECT_THAT(refusal(), HasSubstr("/srv?]0;?, /media/?????"));
  EXPECT_THAT(refusal(), HasSubstr("eth?[2J is up"));
  EXPECT_THAT(refusal(), Not(HasSubstr("\x1b")));
}

// A line that cannot be parsed may hide a mount.
class InUseUnknown : public InUse, public testing::WithParamInterface<const char*> {};

TEST_P(InUseUnknown, IsAnErrorAndNotAnAnswer) {
  add_block("virtio0/block/vda", "254:0");
  tree.put(kMounts, GetParam());
  EXPECT_THAT(refusal(), testing::StartsWith("0000:00:02.0: cannot read "));
  EXPECT_THAT(refusal(),
              testing::EndsWith(
                  ". Passthru cannot tell whether the host uses it. --force binds it anyway"));
}

INSTANTIATE_TEST_SUITE_P(Mountinfo, InUseUnknown,
                         testing::Values("30 1 254:0 / /srv rw - ext4 /dev/vda rw",  // cut off
                                         "30 1 254:0 / /srv rw - ext4 /dev/vda rw\n3", "",
                                         "30 1 254:0\n", "30 1 254:0 / /srv rw shared:1\n",
                                         "30 1 254:0 / /srv rw -\n", "\n",
                                         "30 1 254:0 / /srv rw shared:1 ext4 /dev/vda rw\n"));

TEST_F(InUse, WithoutAMountTableItCannotBeTold) {
  add_block("virtio0/block/vda", "254:0");
  std::filesystem::remove(tree.root() / kMounts);
  EXPECT_THAT(
      refusal(),
      HasSubstr("No such file or directory. Passthru cannot tell whether the host uses it"));
}

TEST_F(InUse, AnEndlessMountTableIsNotReadToItsEnd) {
  add_block("virtio0/block/vda", "254:0");
  std::string table;
  while (table.size() < size_t{9} << 20) table += "30 1 8:1 / /srv rw - ext4 /dev/sda1 rw\n";
  tree.put(kMounts, table);
  const auto found = device_uses(tree.sysfs(), proc(), kDevice);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, E2BIG);
}

TEST_F(InUse, SwapsThatCannotBeUnderstoodAreAnError) {
  add_block("virtio0/block/vda", "254:0");
  tree.put(kSwaps, std::string(kNoSwaps) + "/dev/vda\n");
  EXPECT_THAT(refusal(), HasSubstr("a line has an unknown form: '/dev/vda'"));
}

TEST_F(InUse, AWalkWithoutEndIsGivenUp) {
  add_block("ata1/host0/block/sda", "8:0");  // directories: the function, ata1, host0, block, sda
  EXPECT_TRUE(find_dependents(tree.sysfs(), kDevice, 5));
  const auto found = find_dependents(tree.sysfs(), kDevice, 4);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code, E2BIG);
  EXPECT_EQ(
      found.error().message(),
      "cannot find its disks and network interfaces: sysfs has more than 4 directories for it");
}

TEST_F(InUse, ADeviceWithoutDisksNeedsNoMountTable) {
  std::filesystem::remove(tree.root() / kMounts);
  add_interface("eth0", "0x1002");
  EXPECT_THAT(uses(), IsEmpty());
}

}  // namespace
}  // namespace passthru
