// SPDX-License-Identifier: MIT
// That devices of one guest reach by DMA what of their BARs the guest has mapped, and nothing else.
#include "host/peer_mapper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

#include "host/assigned_device.h"
#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_kernel.h"
#include "tests/fakes/sysfs_tree.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kCommand = 0x04, kBar0 = 0x10;
constexpr uint16_t kDecode = 0x2;
constexpr uint32_t kWindow = 0xc000'0000, kElsewhere = 0xd000'0000;

/// An NVMe drive, whose registers are mapped up to the page of its MSI-X table: one mapping.
class PeerMapperTest : public ::testing::Test {
 protected:
  void SetUp() override {
    sysfs.add({.bdf = "0000:00:02.0", .driver = "vfio-pci", .group = 2, .vfio_dev = true});
    kernel->add(FakeSpec::nvme());
    auto opened = AssignedDevice::open(
        domain(), {.device = Bdf{.device = 2}, .guest_address = {.device = 5}});
    ASSERT_TRUE(opened) << opened.error().message();
    device = std::move(*opened);
  }
  Domain& domain() {
    if (!domain_) domain_ = std::make_unique<Domain>(kernel, host, sysfs.sysfs());
    return *domain_;
  }
  void place(uint32_t address) {
    device->config_write(kBar0, 4, address);
    device->config_write(kCommand, 2, kDecode);
  }

  SysfsTree sysfs;
  std::shared_ptr<FakeKernel> kernel = std::make_shared<FakeKernel>();
  FakeHost host{*kernel};
  std::unique_ptr<Domain> domain_;
  std::unique_ptr<AssignedDevice> device;
};

TEST_F(PeerMapperTest, WhatTheGuestHasMappedItsDevicesReach) {
  EXPECT_EQ(kernel->dma_mappings(), 0U);
  place(kWindow);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(kernel->dma_mappings(), 1U);
}

TEST_F(PeerMapperTest, WhatLeavesTheGuestLeavesTheIommu) {
  place(kWindow);
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

TEST_F(PeerMapperTest, AMovedBarIsReachedWhereItIsNow) {
  place(kWindow);
  device->config_write(kBar0, 4, kElsewhere);
  EXPECT_EQ(kernel->dma_mappings(), 1U);
  EXPECT_TRUE(domain().remove_memory(kElsewhere)) << "it is what is mapped there";
}

TEST_F(PeerMapperTest, ABarThatTheIommuRefusesIsTheGuestsAllTheSame) {
  kernel->fail("VFIO_IOMMU_MAP_DMA", EFAULT);
  place(kWindow);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(kernel->dma_mappings(), 0U);

  kernel->forget_calls();
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_THAT(kernel->calls("VFIO_IOMMU_UNMAP_DMA"), IsEmpty()) << "there is nothing to take away";
}

TEST_F(PeerMapperTest, ABarThatTheVmmRefusesIsNobodys) {
  host.fail_next("map", ENOSPC);
  place(kWindow);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

TEST_F(PeerMapperTest, ADeviceThatGoesLeavesNothing) {
  place(kWindow);
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
