// SPDX-License-Identifier: MIT
// Tests of reading a device's own MSI-X table from outside: through VFIO, beside a host driver, and
// the errors if neither works.
#include "inspect/msix_snapshot.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <utility>

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using testing::HasSubstr;

constexpr Bdf kNvme{.device = 2};
constexpr uint64_t kTable = 0x2000;  // FakeSpec::nvme()
constexpr uint64_t kPending = 0x3000;

// The lab's NVMe drive, in a fake kernel and in a sysfs beside it.
class MsixSnapshotTest : public testing::Test {
 protected:
  void add_to_sysfs(const std::string& driver, bool decode = true) {
    config_.resize(256);
    FakeConfig(FakeSpec::nvme()).read(0, config_);
    config_[4] = decode ? std::byte{2} : std::byte{0};
    sysfs_.add({.driver = driver, .group = 2, .config = config_});
    sysfs_.put("bus/pci/devices/0000:00:02.0/resource",
               "0x0000000080000000 0x0000000080003fff 0x0000000000140204\n");
    sysfs_.put("bus/pci/devices/0000:00:02.0/resource0", std::string(bar_.begin(), bar_.end()));
  }
  void put_entry(unsigned vector, const MsixEntry& entry) {
    std::memcpy(&bar_[kTable + vector * MsixEntry::kSize], &entry, sizeof entry);
  }

  SysfsTree sysfs_;
  FakeKernel kernel_;
  std::vector<char> bar_ = std::vector<char>(0x4000);
  std::vector<std::byte> config_;
};

TEST_F(MsixSnapshotTest, BesideADriverTheEntriesComeFromTheBar) {
  const MsixEntry entry{.address_low = 0xfee01004, .address_high = 1, .data = 0x4022, .control = 0};
  put_entry(64, entry);
  bar_[kPending + 8] = 1;  // vector 64
  add_to_sysfs("nvme");
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_EQ(snapshot->source, MsixSnapshot::Source::Sysfs);
  ASSERT_EQ(snapshot->vectors.size(), 65U);
  EXPECT_EQ(snapshot->vectors[64], (MsixSnapshot::Vector{.entry = entry, .pending = true}));
  EXPECT_FALSE(snapshot->vectors[63].pending);
  EXPECT_TRUE(kernel_.calls().empty()) << "no call disturbs the host driver";
}

TEST_F(MsixSnapshotTest, ABarThatStartsWithinAPageIsReadFromItsStart) {
  add_to_sysfs("nvme");
  std::vector<char> page(0x5000);
  page[0x100 + kTable] = 0x55;  // sysfs maps the page that the BAR starts in
  sysfs_.put("bus/pci/devices/0000:00:02.0/resource", "0x80000100 0x800040ff 0x40200\n");
  sysfs_.put("bus/pci/devices/0000:00:02.0/resource0", std::string(page.begin(), page.end()));
  EXPECT_EQ(snapshot_from_sysfs(sysfs_.sysfs(), kNvme)->vectors[0].entry.address_low, 0x55U);
}

TEST_F(MsixSnapshotTest, AFreeDeviceIsOpenedThroughVfio) {
  FakeDevice& device = kernel_.add(FakeSpec::nvme());
  device.set_entry(3, {.address_low = 0xfee00018, .data = 7, .control = 0});
  add_to_sysfs("vfio-pci");
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_EQ(snapshot->source, MsixSnapshot::Source::Vfio);
  ASSERT_EQ(snapshot->vectors.size(), 65U);
  EXPECT_EQ(snapshot->vectors[3].entry.address_low, 0xfee00018U);
  EXPECT_EQ(snapshot->vectors[3].entry.data, 7U);
  EXPECT_TRUE(kernel_.nothing_leaked());
  EXPECT_TRUE(kernel_.calls("pwrite").empty());
}

TEST_F(MsixSnapshotTest, ADeviceWhoseMemoryDecodeIsOffHasItOnForTheTimeOfTheLook) {
  kernel_.add(FakeSpec::nvme()).backdoor_reset();
  add_to_sysfs("vfio-pci");
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_TRUE(snapshot->vectors[0].entry.masked());
  EXPECT_NE(snapshot->vectors[0].entry.address_low, ~0U) << "the read returned all ones";
  EXPECT_EQ(kernel_.calls("pwrite").size(), 2U) << "decode on, then restored";
}

TEST_F(MsixSnapshotTest, ADeviceThatAnotherProcessHasIsLookedAtThroughSysfs) {
  kernel_.add(FakeSpec::nvme());
  add_to_sysfs("vfio-pci");
  kernel_.fail("open_group", EBUSY);
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_EQ(snapshot->source, MsixSnapshot::Source::Sysfs);
}

TEST_F(MsixSnapshotTest, AnyOtherRefusalOfVfioIsTheAnswer) {
  kernel_.add(FakeSpec::nvme());
  add_to_sysfs("vfio-pci");
  kernel_.fail("open_group", EACCES);
  EXPECT_EQ(snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().code, EACCES);
}

TEST_F(MsixSnapshotTest, WithoutAMappableTableVfioCannotShowIt) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.mappable = false;
  kernel_.add(spec);
  add_to_sysfs("vfio-pci");
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  ASSERT_FALSE(snapshot);
  EXPECT_EQ(snapshot.error().code, ENOTSUP);
  EXPECT_EQ(
      snapshot.error().message(),
      "0000:00:02.0: cannot map the MSI-X table: VFIO does not allow a mapping of that part of "
      "BAR 0");
  EXPECT_TRUE(kernel_.nothing_leaked());
}

TEST_F(MsixSnapshotTest, ADeviceThatDoesNotDecodeMemoryIsNotReadBesideItsDriver) {
  add_to_sysfs("nvme", /*decode=*/false);
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  EXPECT_EQ(snapshot.error().code, ENXIO);
  EXPECT_EQ(snapshot.error().message(),
            "0000:00:02.0: cannot read the MSI-X table: the device's memory decode is off. Wake "
            "the device "
            "by using it, or bind it: 'passthru bind 0000:00:02.0'");
}

// Makes 0000:00:02.0 a virtual function of 0000:00:01.0.
TEST_F(MsixSnapshotTest, AVirtualFunctionDecodesMemoryAsItsPhysicalFunctionSays) {
  add_to_sysfs("nvme", /*decode=*/false);
  sysfs_.link("bus/pci/devices/0000:00:02.0/physfn", "../0000:00:01.0");
  put_entry(1, {.address_low = 0xfee01004, .data = 0x4022, .control = 0});
  sysfs_.put("bus/pci/devices/0000:00:02.0/resource0", std::string(bar_.begin(), bar_.end()));
  EXPECT_EQ(snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().code, ENXIO)
      << "the physical function does not exist";

  std::vector<std::byte> physical(4096);
  physical[0x100] = std::byte{0x10};  // SR-IOV
  physical[0x102] = std::byte{1};
  sysfs_.add({.bdf = "0000:00:01.0", .driver = "nvme", .config = physical});
  EXPECT_EQ(snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().code, ENXIO);
  physical[0x108] = std::byte{9};  // VF Enable, VF MSE
  sysfs_.put("bus/pci/devices/0000:00:01.0/config",
             std::string(reinterpret_cast<const char*>(physical.data()), physical.size()));
  const auto snapshot = snapshot_msix(kernel_, sysfs_.sysfs(), kNvme);
  ASSERT_TRUE(snapshot) << snapshot.error().message();
  EXPECT_EQ(snapshot->vectors[1].entry.address_low, 0xfee01004U);
}

TEST_F(MsixSnapshotTest, ASleepingDeviceIsNotReadBesideItsDriver) {
  add_to_sysfs("nvme");
  sysfs_.put("bus/pci/devices/0000:00:02.0/power_state", "D3hot\n");
  EXPECT_THAT(snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().message(),
              HasSubstr("the device is asleep"));
}

TEST_F(MsixSnapshotTest, ADeviceThatAnotherProcessHasAndDoesNotUseIsNotRead) {
  kernel_.add(FakeSpec::nvme());
  add_to_sysfs("vfio-pci");
  sysfs_.put("bus/pci/devices/0000:00:02.0/power_state", "D3hot\n");
  kernel_.fail("open_group", EBUSY);
  EXPECT_EQ(
      snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().message(),
      "0000:00:02.0: cannot read the MSI-X table: the device is asleep. Another process uses the "
      "device and has not enabled it: end that process, or wait");
}

TEST_F(MsixSnapshotTest, ATableOutsideOfItsBarIsNotRead) {
  const std::string table = "the MSI-X capability names 0x410 bytes at 0x2000, but the BAR has ";
  const std::string pending = "the MSI-X capability names 0x10 bytes at 0x3000, but the BAR has ";
  const std::pair<const char*, std::string> cases[] = {
      {"0x80000000 0x8000200f 0x40200\n", table + "0x2010"},  // the BAR ends within the table
      {"0x80000000 0x80003007 0x40200\n", pending + "0x3008"},
      {"0x0000c000 0x0000ffff 0x40101\n", table + "0x0"},   // an I/O BAR
      {"0x80000000 0x7fffffff 0x40200\n", table + "0x0"},   // ends before it starts
      {"0x0 0xffffffffffffffff 0x40200\n", table + "0x0"},  // the size overflows
      {"0x0 0x0 0x0\n", table + "0x0"},
      {"zebra\n", table + "0x0"},
      {"", table + "0x0"}};
  for (const auto& [resource, words] : cases) {
    add_to_sysfs("nvme");
    sysfs_.put("bus/pci/devices/0000:00:02.0/resource", resource);
    const auto snapshot = snapshot_from_sysfs(sysfs_.sysfs(), kNvme);
    ASSERT_FALSE(snapshot) << resource;
    EXPECT_EQ(snapshot.error().code, ERANGE) << resource;
    EXPECT_EQ(snapshot.error().message(), "0000:00:02.0: cannot map BAR 0: " + words) << resource;
    sysfs_.remove("0000:00:02.0");
  }
}

TEST_F(MsixSnapshotTest, ADeviceWithoutMsixSaysSo) {
  sysfs_.add({.driver = "nvme"});
  EXPECT_EQ(snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().message(),
            "0000:00:02.0: cannot find the MSI-X table: the device has no MSI-X capability. Run "
            "'passthru list' to see which devices have vectors");
}

TEST_F(MsixSnapshotTest, WhoIsNotRootIsToldSo) {
  add_to_sysfs("nvme");
  sysfs_.put("bus/pci/devices/0000:00:02.0/config",
             std::string(reinterpret_cast<const char*>(config_.data()), 64));
  EXPECT_EQ(
      snapshot_msix(kernel_, sysfs_.sysfs(), kNvme).error().message(),
      "0000:00:02.0: cannot find the MSI-X table: only root can read more than the first 64 bytes "
      "of config space. Run the command with sudo");
}

}  // namespace
}  // namespace passthru
