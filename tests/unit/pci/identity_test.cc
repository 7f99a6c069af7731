// SPDX-License-Identifier: MIT
// Tests of a device's identity. A device that stays at its address is recognized. A different
// device at that address gets none of its interrupts.
#include "pci/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <string>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr const char* kBdf = "0000:00:02.0";

fs::path directory_of(const SysfsTree& tree) {
  return fs::canonical(tree.root() / "bus/pci/devices" / kBdf);
}

/// Replaces the device's sysfs object by an identical one, as if the kernel found the device again.
void find_anew(const SysfsTree& tree) {
  const fs::path directory = directory_of(tree);
  // Keeps the old directory: otherwise the file system may give its inode number to the new one.
  const fs::path old = tree.root() / "devices/gone";
  fs::rename(directory, old);
  fs::copy(old, directory, fs::copy_options::recursive | fs::copy_options::copy_symlinks);
}

void put(SysfsTree& tree, const std::string& attribute, const std::string& value) {
  tree.put(fs::path("bus/pci/devices") / kBdf / attribute, value + "\n");
}

class Identity : public testing::Test {
 protected:
  void SetUp() override {
    tree.add({.bdf = kBdf, .driver = "vfio-pci", .group = 4});
    opened = std::move(*DeviceIdentity::remember(tree.sysfs(), {.device = 2}));
  }
  std::string complaint() {
    const auto checked = opened->check();
    if (checked) return "";
    EXPECT_EQ(checked.error().code, ENODEV);
    EXPECT_EQ(checked.error().device, kBdf);
    return checked.error().cause;
  }
  SysfsTree tree;
  std::optional<DeviceIdentity> opened;
};

TEST_F(Identity, IsItsOwn) {
  EXPECT_EQ(complaint(), "");
  put(tree, "numa_node", "1");
  tree.remove_driver("vfio-pci");
  EXPECT_EQ(complaint(), "") << "attributes that may change are not part of the identity";
}

TEST_F(Identity, IsNotThatOfADeviceWithOtherIds) {
  for (const char* id : {"vendor", "device", "subsystem_vendor", "subsystem_device", "revision"}) {
    opened = std::move(*DeviceIdentity::remember(tree.sysfs(), {.device = 2}));
    put(tree, id, "0x99");
    EXPECT_THAT(complaint(), HasSubstr("0x99")) << id;
  }
}

TEST_F(Identity, SaysWhatItWasAndWhatIsThereNow) {
  find_anew(tree);
  put(tree, "vendor", "0x8086");
  EXPECT_EQ(complaint(),
            "the device opened at this address was 0x1b36:0x0010, subsystem 0x1af4:0x1100, "
            "revision 0x02, IOMMU group 4; the address now has 0x8086:0x0010, subsystem "
            "0x1af4:0x1100, revision 0x02, IOMMU group 4");
}

TEST_F(Identity, IsNotThatOfItsTwin) {
  find_anew(tree);
  EXPECT_THAT(complaint(), HasSubstr("the address now has another device with the same ids"));
}

TEST_F(Identity, IsNotThatOfOneInAnotherGroup) {
  const fs::path group = directory_of(tree) / "iommu_group";
  fs::remove(group);
  fs::create_symlink("../../kernel/iommu_groups/5", group);
  EXPECT_THAT(complaint(), HasSubstr("the address now has 0x1b36:0x0010, subsystem 0x1af4:0x1100, "
                                     "revision 0x02, IOMMU group 5"));
}

TEST_F(Identity, IsNobodysWhenNothingIsThere) {
  tree.remove(kBdf);
  EXPECT_THAT(complaint(), HasSubstr("the address now has no device"));
  const auto none = DeviceIdentity::remember(tree.sysfs(), {.device = 2});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ENOENT);
  EXPECT_EQ(none.error().device, kBdf);
}

TEST_F(Identity, IsKnownWhereSysfsIsOutOfReach) {
  const fs::path away = tree.root().string() + "-away";
  fs::rename(tree.root(), away);
  EXPECT_EQ(complaint(), "");
  fs::rename(away, tree.root());
  EXPECT_EQ(complaint(), "");
}

TEST_F(Identity, LeavesNoDescriptorBehind) {
  const auto descriptors = [] {
    return std::distance(fs::directory_iterator("/proc/self/fd"), fs::directory_iterator());
  };
  const auto before = descriptors();
  for (int round = 0; round < 10; ++round) complaint();
  put(tree, "vendor", "0x8086");
  for (int round = 0; round < 10; ++round) complaint();
  EXPECT_EQ(descriptors(), before);
}

class AssignedIdentity : public AssignedFixture {
 protected:
  void SetUp() override {
    FakeSpec spec = FakeSpec::nvme();
    spec.msi_vectors = 1;
    hardware = &plug(spec);
    open();
    place(kWindow);
  }
  /// Returns the reports of interrupts that could not be enabled.
  std::vector<std::string> refused() {
    std::vector<std::string> details;
    for (const Event& event : host.events) {
      if (event.kind == Event::Kind::VectorFailed) details.push_back(event.detail);
    }
    return details;
  }
  size_t bound_by_the_kernel() {
    size_t bound = 0;
    for (const FakeCall& call : kernel->calls("VFIO_DEVICE_SET_IRQS"))
      bound += call.eventfds.size();
    return bound;
  }
  static auto says_so() {
    return AllOf(HasSubstr(kBdf),
                 HasSubstr("the address now has another device with the same ids"));
  }
  void enable_msi(bool on) {
    device->config_write(kMsi + 4, 4, 0xfee0'0000);
    device->config_write(kMsi + 12, 2, 0x40);
    device->config_write(kMsi + 2, 2, on ? 1 : 0);
  }
};

TEST_F(AssignedIdentity, MsixOfAnotherDeviceIsNotEnabled) {
  find_anew(sysfs);
  kernel->forget_calls();
  enable_vector(0);
  enable_msix();
  EXPECT_EQ(bound_by_the_kernel(), 0U);
  ASSERT_THAT(refused(), testing::Not(IsEmpty()));
  EXPECT_THAT(refused(), testing::Each(says_so()));
  EXPECT_EQ(hardware->fire(0), Fired::Lost);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(AssignedIdentity, MsiOfAnotherDeviceIsNotEnabled) {
  find_anew(sysfs);
  kernel->forget_calls();
  enable_msi(true);
  EXPECT_EQ(bound_by_the_kernel(), 0U);
  ASSERT_THAT(refused(), testing::Not(IsEmpty()));
  EXPECT_THAT(refused(), testing::Each(says_so()));
}

TEST_F(AssignedIdentity, IntxOfAnotherDeviceIsNotEnabled) {
  enable_msi(true);
  find_anew(sysfs);
  kernel->forget_calls();
  enable_msi(false);
  EXPECT_EQ(bound_by_the_kernel(), 0U);
  EXPECT_THAT(refused(), ElementsAre(says_so()));
  EXPECT_FALSE(host.intx_armed());
}

TEST_F(AssignedIdentity, HealingDoesNotEnableThemEither) {
  enable_msix();
  enable_vector(0);
  hardware->backdoor_reset();
  find_anew(sysfs);
  kernel->forget_calls();
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(bound_by_the_kernel(), 0U);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(AssignedIdentity, MaskingAndUnmaskingLooksAtNothing) {
  enable_msix();
  enable_vector(0);
  find_anew(sysfs);  // a check of the identity would refuse the device
  mmio_write(kWindow + 0x2000 + 12, 1);
  mmio_write(kWindow + 0x2000 + 12, 0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(AssignedIdentity, AddingAVectorLooksAtNothing) {
  device.reset();  // frees the guest's slot for another device
  FakeSpec dynamic = FakeSpec::nvme({.device = 3}, 3);
  dynamic.msix.noresize = false;
  hardware = &plug(dynamic);
  open();
  place(kElsewhere);
  enable_msix();
  enable_vector(0, kElsewhere + 0x2000);
  sysfs.put("bus/pci/devices/0000:00:03.0/vendor",
            "0x8086\n");  // a check of the identity would refuse the device
  enable_vector(1, kElsewhere + 0x2000);
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_THAT(refused(), IsEmpty());
}

TEST_F(AssignedIdentity, TheDeviceItselfMayEnableThemAgainAndAgain) {
  for (int round = 0; round < 3; ++round) {
    enable_msix();
    enable_vector(0);
    EXPECT_EQ(hardware->fire(0), Fired::Delivered);
    EXPECT_THAT(host.delivered(), testing::Contains(message_of(0)));
    device->config_write(kMsixControl, 2, 0);
  }
  EXPECT_THAT(refused(), IsEmpty());
}

}  // namespace
}  // namespace passthru
