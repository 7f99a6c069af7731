// SPDX-License-Identifier: MIT
// Tests of choosing how to open a device: from the host's features or the VMM's options.
// Contradictory options are refused, and the descriptors are closed.
#include "vfio/device_source.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>

#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

class DeviceSourceTest : public ::testing::Test {
 protected:
  DeviceSourceTest() { kernel_.add(spec_); }
  void plug(bool with_node) {
    tree_.add({.bdf = "0000:00:02.0",
               .driver = "vfio-pci",
               .group = 2,
               .vfio_dev = true,
               .cdev = with_node ? spec_.cdev() : ""});
  }
  Result<DeviceHandle> find(const DeviceSource& source = {}) {
    return resolve_device(kernel_, tree_.sysfs(), spec_.bdf, source);
  }

  const FakeSpec spec_ = FakeSpec::nvme();
  FakeKernel kernel_;
  SysfsTree tree_;
};

TEST_F(DeviceSourceTest, TheNodeIsTakenWhereThereIsOneAndAnIommufd) {
  plug(true);
  tree_.add_iommufd();
  const auto door = find();
  ASSERT_TRUE(door) << door.error().message();
  EXPECT_EQ(door->backend, Backend::Cdev);
  EXPECT_EQ(door->cdev, spec_.cdev());
  EXPECT_EQ(door->group, 2U);
}

TEST_F(DeviceSourceTest, TheGroupIsTakenWhereEitherIsMissing) {
  plug(true);
  EXPECT_EQ(find()->backend, Backend::Group) << "without iommufd";
  tree_.remove("0000:00:02.0");
  plug(false);
  tree_.add_iommufd();
  EXPECT_EQ(find()->backend, Backend::Group) << "without a node";
}

TEST_F(DeviceSourceTest, TheVmmMayChoose) {
  plug(true);
  tree_.add_iommufd();
  EXPECT_EQ(find({.backend = Backend::Group})->backend, Backend::Group);
  EXPECT_EQ(find({.backend = Backend::Cdev})->backend, Backend::Cdev);
}

// The group requires the token; the device's own node may not require it before Linux 6.17.
TEST_F(DeviceSourceTest, TheGroupIsTakenOfAVirtualFunctionWithAToken) {
  plug(true);
  tree_.add_iommufd();
  tree_.add({.bdf = "0000:01:00.0", .driver = "nvme", .group = 7});
  tree_.link("bus/pci/devices/0000:00:02.0/physfn", "bus/pci/devices/0000:01:00.0");
  EXPECT_EQ(find()->backend, Backend::Cdev)
      << "on a host driver, the physical function has no token";
  tree_.remove("0000:01:00.0");
  tree_.add({.bdf = "0000:01:00.0", .driver = "vfio-pci", .group = 7, .vfio_dev = true});
  EXPECT_EQ(find()->backend, Backend::Group);
  EXPECT_EQ(find({.backend = Backend::Cdev})->backend, Backend::Cdev);
  const int fd = kernel_.open_cdev(spec_.cdev())->release();
  EXPECT_EQ(find({.cdev_fd = fd})->backend, Backend::Cdev);
  std::filesystem::remove_all(tree_.root() / "class/vfio/2");
  EXPECT_EQ(find()->backend, Backend::Cdev) << "a kernel with VFIO but without groups";
}

TEST_F(DeviceSourceTest, ANodeThatIsWantedAndNotThereIsRefused) {
  plug(false);
  const auto door = find({.backend = Backend::Cdev});
  ASSERT_FALSE(door);
  EXPECT_EQ(door.error().code, ENOTSUP);
  EXPECT_THAT(door.error().message(), HasSubstr("no node of its own"));
  EXPECT_THAT(door.error().advice, HasSubstr("--backend=group"));
}

TEST_F(DeviceSourceTest, ADescriptorTellsWhichDeviceItIs) {
  plug(true);
  const int fd = kernel_.open_cdev(spec_.cdev())->release();
  auto door = resolve_device(kernel_, tree_.sysfs(), {}, {.cdev_fd = fd});
  ASSERT_TRUE(door) << door.error().message();
  EXPECT_EQ(door->bdf, spec_.bdf);
  EXPECT_EQ(door->backend, Backend::Cdev);
  EXPECT_EQ(door->given.get(), fd);
}

TEST_F(DeviceSourceTest, ADescriptorOfAnotherDeviceIsRefused) {
  plug(true);
  tree_.add({.bdf = "0000:00:03.0", .driver = "vfio-pci", .group = 3});
  const int fd = kernel_.open_cdev(spec_.cdev())->release();
  const auto door = resolve_device(kernel_, tree_.sysfs(), {.device = 3}, {.cdev_fd = fd});
  ASSERT_FALSE(door);
  EXPECT_EQ(door.error().code, EINVAL);
  EXPECT_THAT(door.error().message(), HasSubstr("belongs to 0000:00:02.0"));
  EXPECT_EQ(kernel_.open_fds(), 0U) << "what was given is closed";
}

TEST_F(DeviceSourceTest, ADescriptorThatIsNoDevicesIsRefused) {
  plug(true);
  const int fd = kernel_.open_iommufd()->release();
  const auto door = resolve_device(kernel_, tree_.sysfs(), {}, {.cdev_fd = fd});
  ASSERT_FALSE(door);
  EXPECT_EQ(door.error().code, EINVAL);
  EXPECT_EQ(kernel_.open_fds(), 0U);
}

TEST_F(DeviceSourceTest, DescriptorsThatContradictEachOtherAreRefused) {
  plug(true);
  const auto node = [&] { return kernel_.open_cdev(spec_.cdev())->release(); };
  const auto group = [&] { return kernel_.open_group(2)->release(); };
  EXPECT_EQ(find({.cdev_fd = node(), .group_fd = group()}).error().code, EINVAL);
  EXPECT_EQ(find({.backend = Backend::Group, .cdev_fd = node()}).error().code, EINVAL);
  EXPECT_EQ(find({.backend = Backend::Cdev, .group_fd = group()}).error().code, EINVAL);
  EXPECT_EQ(kernel_.open_fds(), 0U);
}

}  // namespace
}  // namespace passthru
