// SPDX-License-Identifier: MIT
// Tests of peer-to-peer DMA: a guest's devices reach exactly the parts of their BARs that the guest
// has mapped.
#include "device/p2p_mapper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstdint>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

/// An NVMe drive: its registers are mapped up to the page of its MSI-X table, as one mapping.
class PeerMapperTest : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(FakeSpec::nvme());
    open();
  }
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
  EXPECT_TRUE(domain.remove_memory(kElsewhere)) << "the BAR is mapped at the new address";
}

TEST_F(PeerMapperTest, ABarThatTheIommuRefusesIsTheGuestsAllTheSame) {
  kernel->fail(tested_backend() == Backend::Cdev ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA", EFAULT);
  place(kWindow);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(kernel->dma_mappings(), 0U);

  kernel->forget_calls();
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_THAT(kernel->calls("VFIO_IOMMU_UNMAP_DMA"), IsEmpty()) << "there is nothing to unmap";
}

TEST_F(PeerMapperTest, ABarThatTheVmmRefusesIsNobodys) {
  host.fail_next("map", ENOSPC);
  place(kWindow);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(kernel->dma_mappings(), 0U);
}

TEST_F(PeerMapperTest, ABarThatTheIommuKeepsIsNotGivenToTheNextGroup) {
  place(kWindow);
  kernel->fail("VFIO_IOMMU_UNMAP_DMA", EIO);
  device.reset();
  open();
  EXPECT_EQ(kernel->dma_mappings(), 0U) << "the BAR's memory is gone";
}

TEST_F(PeerMapperTest, ADeviceThatGoesLeavesNothing) {
  place(kWindow);
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
