// SPDX-License-Identifier: MIT
// Tests of assigning a device that another process has opened. KVM must know its file as long as
// the guest has it. A failed assignment must leave nothing behind.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class AssignedSource : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug_with_node(FakeSpec::nvme());
    ASSERT_TRUE(domain.add_memory(0, memory_));
  }
  Fd node() { return std::move(*kernel->open_cdev(hardware->spec().cdev())); }

  alignas(4096) static inline std::array<std::byte, 4096> memory_{};
};

TEST_F(AssignedSource, ADeviceGivenByItsOwnDescriptorNeedsNoAddress) {
  ASSERT_TRUE(domain.dma().use_iommufd(std::move(*kernel->open_iommufd())));
  const auto opened =
      AssignedDevice::open(domain, {.guest_address = {.device = 5}}, {.cdev = node()});
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ((*opened)->bdf(), hardware->spec().bdf);
  EXPECT_EQ((*opened)->inspect().dma.backend, Backend::Cdev);
  EXPECT_EQ((*opened)->inspect().dma.maps, 1U);
  EXPECT_EQ((*opened)->inspect().dma.bytes, 4096U);
  EXPECT_EQ(kernel->calls("open_cdev").size(), 1U) << "only our own descriptor";
  EXPECT_EQ(kernel->calls("open_iommufd").size(), 1U) << "only our own iommufd";
}

TEST_F(AssignedSource, ADeviceGivenByItsGroupsDescriptorIsAssigned) {
  ASSERT_TRUE(domain.dma().use_container(std::move(*kernel->open_container())));
  open({}, {.group = std::move(*kernel->open_group(2))});
  EXPECT_EQ(device->inspect().dma.backend, Backend::Group);
  device.reset();
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

TEST_F(AssignedFixture, AnIommufdOfTheVmOpensADeviceByItsNodeThoughThisProcessHasNone) {
  const FakeSpec spec = FakeSpec::nvme();
  hardware = &add_device(spec, spec.cdev());
  ASSERT_TRUE(domain.dma().use_iommufd(std::move(*kernel->open_iommufd())));
  open();
  EXPECT_EQ(device->inspect().dma.backend, Backend::Cdev);
}

TEST_F(AssignedSource, TheOtherDevicesOfAGroupThatWasGivenFollowByTheirAddressesAlone) {
  const FakeSpec neighbour = FakeSpec::nvme({0, 0, 2, 1}, 2);
  plug_with_node(neighbour);
  ASSERT_TRUE(domain.dma().use_container(std::move(*kernel->open_container())));
  open({}, {.group = std::move(*kernel->open_group(2))});
  const auto second = AssignedDevice::open(domain, {.device = neighbour.bdf});
  ASSERT_TRUE(second) << second.error().message();
  EXPECT_EQ((*second)->inspect().dma.backend, Backend::Group);
  EXPECT_TRUE(kernel->calls("open_cdev").empty());

  const auto asked =
      AssignedDevice::open(domain, {.device = neighbour.bdf}, {.backend = Backend::Cdev});
  ASSERT_FALSE(asked) << "the error says that the node is not available";
  EXPECT_EQ(asked.error().code, EBUSY);
}

TEST_F(AssignedSource, TheVmmKnowsTheFileWhileTheGuestHasTheDevice) {
  for (const Backend backend : {Backend::Cdev, Backend::Group}) {
    open({}, {.backend = backend});
    EXPECT_THAT(host.files, SizeIs(1));
    device->detach();
    EXPECT_THAT(host.files, IsEmpty());
    device.reset();
    EXPECT_TRUE(kernel->nothing_leaked());
  }
}

TEST_F(AssignedSource, AFileThatTheVmmRefusesIsNotAssigned) {
  for (const Backend backend : {Backend::Cdev, Backend::Group}) {
    host.fail_next("file_added", EPERM);
    const auto refused = try_open({}, {.backend = backend});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, EPERM);
    EXPECT_THAT(host.files, IsEmpty());
    EXPECT_TRUE(kernel->nothing_leaked());
  }
}

TEST_F(AssignedSource, WhatWasGivenIsClosedWhereTheDeviceCannotBeAssigned) {
  kernel->fail("VFIO_DEVICE_ATTACH_IOMMUFD_PT", EIO);
  {
    Domain of_its_own(kernel, host, sysfs.sysfs());
    ASSERT_TRUE(of_its_own.dma().use_iommufd(std::move(*kernel->open_iommufd())));
    EXPECT_FALSE(AssignedDevice::open(of_its_own, {}, {.cdev = node()}));
  }
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
