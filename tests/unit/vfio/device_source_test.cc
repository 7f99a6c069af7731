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
  Result<DeviceHandle> find(DeviceSource source = {}, bool has_iommufd = false) {
    return resolve_device(kernel_, tree_.sysfs(), spec_.bdf, std::move(source), has_iommufd);
  }
  Fd node() { return std::move(*kernel_.open_cdev(spec_.cdev())); }

  const FakeSpec spec_ = FakeSpec::nvme();
  FakeKernel kernel_;
  SysfsTree tree_;
};

TEST_F(DeviceSourceTest, TheNodeIsTakenWhereThereIsOneAndAnIommufd) {
  plug(true);
  tree_.add_iommufd();
  const auto handle = find();
  ASSERT_TRUE(handle) << handle.error().message();
  EXPECT_EQ(handle->backend, Backend::Cdev);
  EXPECT_EQ(handle->cdev, spec_.cdev());
  EXPECT_EQ(handle->group, 2U);
}

TEST_F(DeviceSourceTest, TheGroupIsTakenWhereEitherIsMissing) {
  plug(true);
  EXPECT_EQ(find()->backend, Backend::Group) << "without iommufd";
  EXPECT_EQ(find({}, true)->backend, Backend::Cdev) << "the VM has an iommufd";
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
  EXPECT_EQ(find({.cdev = node()})->backend, Backend::Cdev);
  std::filesystem::remove_all(tree_.root() / "class/vfio/2");
  EXPECT_EQ(find()->backend, Backend::Cdev) << "a kernel with VFIO but without groups";
}

TEST_F(DeviceSourceTest, ANodeThatIsWantedAndNotThereIsRefused) {
  plug(false);
  const auto handle = find({.backend = Backend::Cdev});
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().code, ENOTSUP);
  EXPECT_THAT(handle.error().message(), HasSubstr("no node of its own"));
  EXPECT_THAT(handle.error().advice, HasSubstr("--backend=group"));
}

TEST_F(DeviceSourceTest, ADescriptorTellsWhichDeviceItIs) {
  plug(true);
  Fd given = node();
  const int fd = given.get();
  auto handle = resolve_device(kernel_, tree_.sysfs(), {}, {.cdev = std::move(given)});
  ASSERT_TRUE(handle) << handle.error().message();
  EXPECT_EQ(handle->bdf, spec_.bdf);
  EXPECT_EQ(handle->backend, Backend::Cdev);
  EXPECT_EQ(handle->given.get(), fd);
}

TEST_F(DeviceSourceTest, ADescriptorOfAnotherDeviceIsRefused) {
  plug(true);
  tree_.add({.bdf = "0000:00:03.0", .driver = "vfio-pci", .group = 3});
  const auto handle = resolve_device(kernel_, tree_.sysfs(), {.device = 3}, {.cdev = node()});
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().code, EINVAL);
  EXPECT_THAT(handle.error().message(), HasSubstr("belongs to 0000:00:02.0"));
  EXPECT_EQ(kernel_.open_fds(), 0U) << "what was given is closed";
}

TEST_F(DeviceSourceTest, ADescriptorThatIsNoDevicesIsRefused) {
  plug(true);
  Fd iommufd = std::move(*kernel_.open_iommufd());
  const auto handle = resolve_device(kernel_, tree_.sysfs(), {}, {.cdev = std::move(iommufd)});
  ASSERT_FALSE(handle);
  EXPECT_EQ(handle.error().code, EINVAL);
  EXPECT_EQ(kernel_.open_fds(), 0U);
}

TEST_F(DeviceSourceTest, DescriptorsThatContradictEachOtherAreRefused) {
  plug(true);
  const auto group = [&] { return std::move(*kernel_.open_group(2)); };
  EXPECT_EQ(find({.cdev = node(), .group = group()}).error().code, EINVAL);
  EXPECT_EQ(find({.backend = Backend::Group, .cdev = node()}).error().code, EINVAL);
  EXPECT_EQ(find({.backend = Backend::Cdev, .group = group()}).error().code, EINVAL);
  EXPECT_EQ(kernel_.open_fds(), 0U);
}

}  // namespace
}  // namespace passthru
