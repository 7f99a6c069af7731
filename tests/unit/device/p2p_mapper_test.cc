// SPDX-License-Identifier: MIT
// Tests of peer-to-peer DMA: a guest's devices reach exactly the parts of their BARs that the guest
// has mapped.
#include "device/p2p_mapper.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <memory>

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
  EXPECT_EQ(dma_mappings(), 0U);
  place(kWindow);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(dma_mappings(), 1U);
}

TEST_F(PeerMapperTest, WhatLeavesTheGuestLeavesTheIommu) {
  place(kWindow);
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(PeerMapperTest, AMovedBarIsReachedWhereItIsNow) {
  place(kWindow);
  device->config_write(kBar0, 4, kElsewhere);
  EXPECT_EQ(dma_mappings(), 1U);
  EXPECT_TRUE(domain.remove_memory(kElsewhere)) << "the BAR is mapped at the new address";
}

TEST_F(PeerMapperTest, ABarThatTheIommuRefusesIsTheGuestsAllTheSame) {
  kernel->fail(tested_backend() == Backend::Cdev ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA", EFAULT);
  place(kWindow);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(dma_mappings(), 0U);

  kernel->forget_calls();
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_THAT(kernel->calls("VFIO_IOMMU_UNMAP_DMA"), IsEmpty()) << "there is nothing to unmap";
}

TEST_F(PeerMapperTest, ABarThatTheVmmRefusesIsNobodys) {
  host.fail_next("map", ENOSPC);
  place(kWindow);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(PeerMapperTest, ABarThatTheIommuKeepsIsNotGivenToTheNextGroup) {
  place(kWindow);
  kernel->fail("VFIO_IOMMU_UNMAP_DMA", EIO);
  device.reset();
  open();
  EXPECT_EQ(dma_mappings(), 0U) << "the BAR's memory is gone";
}

/// A device with a BAR of 2 MiB, which a device alone does not reach by DMA, and a place for
/// another device.
class LargePeerTest : public AssignedFixture {
 protected:
  void SetUp() override {
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[2] = {.size = 2 << 20, .is_64bit = true};
    hardware = &plug(spec);
  }
  void open_and_place() {
    open();
    place(kElsewhere, 2);
    ASSERT_TRUE(mapped(kElsewhere));
  }
  std::unique_ptr<AssignedDevice> open_another() {
    const Bdf other{.device = 3};
    plug(FakeSpec::nvme(other, 3));
    return AssignedDevice::open(domain, {.device = other, .guest_address = {.device = 6}}).value();
  }
  [[nodiscard]] size_t told() {
    dma_mappings();
    domain.peers().tell_refusal();
    return static_cast<size_t>(
        std::count_if(host.events.begin(), host.events.end(),
                      [](const Event& event) { return event.kind == Event::Kind::P2pRefused; }));
  }
  void refuse_next_map() {
    kernel->fail(tested_backend() == Backend::Cdev ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA",
                 EFAULT);
  }
};

TEST_F(LargePeerTest, Case18ALargeBarOfADeviceAloneIsNotMappedForDma) {
  open_and_place();
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(LargePeerTest, Case18AnotherDeviceReachesTheBarsThatAreThereAlready) {
  open_and_place();
  const auto another = open_another();
  EXPECT_GE(dma_mappings(), 1U);
  EXPECT_TRUE(domain.remove_memory(kElsewhere)) << "the BAR is mapped for DMA";
}

TEST_F(LargePeerTest, Case18ABarThatLeftIsNotMappedForAnotherDevice) {
  open_and_place();
  device->config_write(kCommand, 2, 0);
  const auto another = open_another();
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(LargePeerTest, Case18OnMapsTheBarsOfADeviceAlone) {
  ASSERT_TRUE(domain.use_p2p(P2p::On));
  open_and_place();
  EXPECT_EQ(dma_mappings(), 1U);
  device->config_write(kCommand, 2, 0);
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(LargePeerTest, Case18OffMapsNothing) {
  ASSERT_TRUE(domain.use_p2p(P2p::Off));
  open_and_place();
  const auto another = open_another();
  place(kWindow);
  EXPECT_EQ(dma_mappings(), 0U);
  EXPECT_EQ(told(), 0U);
}

TEST_F(LargePeerTest, Case18AKernelThatRefusesIsReportedOnceForAllBars) {
  open();
  const auto another = open_another();
  refuse_next_map();
  place(kElsewhere, 2);
  EXPECT_TRUE(mapped(kElsewhere)) << "the guest has the BAR";
  EXPECT_EQ(told(), 1U);
  device->config_write(kCommand, 2, 0);
  refuse_next_map();
  place(kElsewhere, 2);
  EXPECT_EQ(told(), 1U);
}

TEST_F(LargePeerTest, Case18ARefusalThatConcernsNoOtherDeviceIsNotReported) {
  open();
  refuse_next_map();
  place(kWindow);
  EXPECT_EQ(told(), 0U);
}

TEST_F(PeerMapperTest, ADeviceThatGoesLeavesNothing) {
  place(kWindow);
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
}

}  // namespace
}  // namespace passthru
