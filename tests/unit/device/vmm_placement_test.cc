// SPDX-License-Identifier: MIT
// BARs that the VMM places: which calls it gets, and a call that fails.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using PlacedBars = FakeHypervisor::PlacedBars;

constexpr Bdf kGuestAddress{.device = 5};
constexpr uint16_t kPorts = 0x1;
constexpr uint16_t kMemory = 0x2;

constexpr uint64_t kBar1 = kWindow + 0x20000;
constexpr uint64_t kBar2 = 0xc000;
constexpr uint64_t kBar3 = kWindow + 0x40000;

/// A NIC: BAR 2 has ports, the others are memory.
class VmmPlacement : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(FakeSpec::e1000e());
    open({.placement = Placement::Vmm});
    write_addresses(*device);
  }
  static void write_addresses(AssignedDevice& device) {
    device.config_write(kBar0, 4, static_cast<uint32_t>(kWindow));
    device.config_write(kBar0 + 4, 4, static_cast<uint32_t>(kBar1));
    device.config_write(kBar0 + 8, 4, static_cast<uint32_t>(kBar2));
    device.config_write(kBar0 + 12, 4, static_cast<uint32_t>(kBar3));
  }
  void decode(uint16_t command) { device->config_write(kCommand, 2, command); }
  [[nodiscard]] uint16_t decoded() {
    return static_cast<uint16_t>(device->config_read(kCommand, 2) & (kPorts | kMemory));
  }
  [[nodiscard]] PlacedBars placed() const { return host.placed(kGuestAddress); }

  const PlacedBars memory{{0, kWindow}, {1, kBar1}, {3, kBar3}};
  const PlacedBars all{{0, kWindow}, {1, kBar1}, {2, kBar2}, {3, kBar3}};
};

TEST_F(VmmPlacement, TheVmmGetsEachBarAndNoAddressSpaceDoes) {
  decode(kPorts | kMemory);
  EXPECT_EQ(placed(), all);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_THAT(host.traps(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow), UINT32_MAX);
}

TEST_F(VmmPlacement, AMoveIsOneCall) {
  decode(kPorts | kMemory);
  host.bars_in_calls.clear();
  device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(placed()[1], kElsewhere);
  EXPECT_THAT(host.bars_in_calls, ElementsAre(1));
}

TEST_F(VmmPlacement, DecodeOffRemovesTheBarsOfOneSpace) {
  decode(kPorts | kMemory);
  decode(kMemory);
  EXPECT_EQ(placed(), memory);
  decode(kPorts);
  EXPECT_EQ(placed(), (PlacedBars{{2, kBar2}}));
  decode(0);
  EXPECT_THAT(placed(), IsEmpty());
}

TEST_F(VmmPlacement, PortsBeyondTheLimitAreNotPlaced) {
  device->config_write(kBar0 + 8, 4, 0x1'c000);
  decode(kPorts);
  EXPECT_THAT(placed(), IsEmpty());
}

TEST_F(VmmPlacement, AResetRemovesTheBars) {
  decode(kPorts | kMemory);
  device->config_write(kDeviceControl, 2, 0x8000);
  EXPECT_THAT(placed(), IsEmpty()) << "by the guest";
  write_addresses(*device);
  decode(kPorts | kMemory);
  ASSERT_TRUE(device->reset());
  EXPECT_THAT(placed(), IsEmpty()) << "of the VM";
}

TEST_F(VmmPlacement, ADetachRemovesTheBars) {
  decode(kPorts | kMemory);
  device->detach();
  EXPECT_THAT(placed(), IsEmpty());
  EXPECT_EQ(kernel->mappings(), 0U);
}

TEST_F(VmmPlacement, ARefusedPlaceUndoesTheGuestsWriteAtEachCall) {
  for (unsigned nth = 1; nth <= all.size(); ++nth) {
    SCOPED_TRACE(nth);
    host.fail_next("place_bar", ENOSPC, nth);
    decode(kPorts | kMemory);
    EXPECT_THAT(placed(), IsEmpty());
    EXPECT_EQ(decoded(), 0);
    ASSERT_FALSE(host.events.empty());
    EXPECT_EQ(host.events.back().kind, Event::Kind::BarRefused);
  }
  decode(kPorts | kMemory);
  EXPECT_EQ(placed(), all);
}

TEST_F(VmmPlacement, ARefusedMoveLeavesTheBarWhereItWas) {
  decode(kPorts | kMemory);
  host.refused_places = {kElsewhere};
  device->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(placed(), all);
  EXPECT_EQ(device->config_read(kBar0, 4), kWindow);
}

TEST_F(VmmPlacement, BarsThatAFailedChangeRemovedArePutBack) {
  decode(kMemory);
  host.refused_places = {kBar2};
  decode(kPorts);
  EXPECT_EQ(placed(), memory);
  EXPECT_EQ(decoded(), kMemory);
}

TEST_F(VmmPlacement, ABarThatTheVmmDoesNotPutBackIsPlacedByALaterChange) {
  decode(kMemory);
  host.refused_places = {kBar2, kWindow};
  decode(kPorts);
  EXPECT_EQ(placed(), (PlacedBars{{1, kBar1}, {3, kBar3}}));
  EXPECT_EQ(decoded(), kMemory);

  device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(placed(), (PlacedBars{{1, kElsewhere}, {3, kBar3}})) << "other BARs still move";
  host.refused_places.clear();
  device->config_write(kBar0 + 4, 4, static_cast<uint32_t>(kBar1));
  EXPECT_EQ(placed(), memory);
}

TEST_F(VmmPlacement, ABarThatIsNotRemovedIsTriedAgainByALaterChange) {
  decode(kMemory);
  host.kept_bars = {0};
  decode(0);
  EXPECT_EQ(decoded(), 0) << "a removal never fails for the guest";
  EXPECT_EQ(placed(), (PlacedBars{{0, kWindow}}));
  host.kept_bars.clear();
  decode(kPorts);
  EXPECT_EQ(placed(), (PlacedBars{{2, kBar2}}));
}

TEST_F(VmmPlacement, ABarThatIsNotRemovedIsPlacedAgainEvenWhereItWas) {
  decode(kMemory);
  host.kept_bars = {0};
  decode(0);
  host.kept_bars.clear();
  host.bars_in_calls.clear();
  decode(kMemory);
  EXPECT_THAT(host.bars_in_calls, ElementsAre(0, 1, 3));
  EXPECT_EQ(placed(), memory);
}

// The guest still reaches its memory: no other memory may get its address.
TEST_F(VmmPlacement, TheMemoryOfABarThatIsNotRemovedStaysMappedUntilItIs) {
  decode(kMemory);
  host.kept_bars = {0};
  device.reset();
  EXPECT_EQ(kernel->mappings(), 1U);
  EXPECT_EQ(placed(), (PlacedBars{{0, kWindow}}));
  domain.left_bars().retry();
  EXPECT_EQ(kernel->mappings(), 1U) << "the VMM fails again";
  host.kept_bars.clear();
  domain.left_bars().retry();
  EXPECT_THAT(placed(), IsEmpty());
  EXPECT_EQ(kernel->mappings(), 0U);
}

TEST_F(VmmPlacement, APlaceOfAnyDeviceTriesAgainToRemoveABar) {
  decode(kMemory);
  host.kept_bars = {0};
  device.reset();
  host.kept_bars.clear();
  const FakeSpec spec = FakeSpec::nvme({.device = 9}, 9);
  plug(spec);
  auto other = AssignedDevice::open(
      domain, {.device = spec.bdf, .guest_address = {.device = 9}, .placement = Placement::Vmm});
  ASSERT_TRUE(other) << other.error().message();
  EXPECT_EQ(placed().size(), 1U);
  (*other)->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere));
  (*other)->config_write(kCommand, 2, kMemory);
  EXPECT_THAT(placed(), IsEmpty());
}

TEST_F(VmmPlacement, TheNextDeviceAtTheSameAddressReplacesABarThatWasNotRemoved) {
  decode(kMemory);
  const size_t mappings = kernel->mappings();
  host.kept_bars = {0};
  device.reset();
  const FakeSpec spec = FakeSpec::e1000e({.device = 9}, 9);
  plug(spec);
  auto next = AssignedDevice::open(
      domain, {.device = spec.bdf, .guest_address = kGuestAddress, .placement = Placement::Vmm});
  ASSERT_TRUE(next) << next.error().message();
  EXPECT_EQ(kernel->mappings(), mappings + 1);
  write_addresses(**next);
  (*next)->config_write(kCommand, 2, kMemory);
  EXPECT_EQ(placed(), memory);
  EXPECT_EQ(kernel->mappings(), mappings) << "the first device's memory is unmapped";
  host.kept_bars.clear();
  next->reset();
  EXPECT_THAT(placed(), IsEmpty());
  EXPECT_EQ(kernel->mappings(), 0U);
}

/// BARs 0 and 1 are one part each, BAR 3 has two beside its MSI-X table.
TEST_F(VmmPlacement, OtherDevicesReachTheBarsWhereTheyAre) {
  decode(kPorts | kMemory);
  EXPECT_EQ(dma_mappings(), 4U);
  device->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(dma_mappings(), 4U);
  EXPECT_FALSE(domain.remove_memory(kWindow));
  host.refused_places = {kWindow};
  device->config_write(kBar0, 4, static_cast<uint32_t>(kWindow));
  EXPECT_EQ(dma_mappings(), 4U) << "a refused move changes nothing";
  decode(0);
  EXPECT_EQ(dma_mappings(), 0U);
}

TEST_F(VmmPlacement, OtherDevicesDoNotReachABarThatIsNotRemoved) {
  decode(kMemory);
  host.kept_bars = {0};
  decode(0);
  EXPECT_EQ(dma_mappings(), 0U);
  host.kept_bars.clear();
}

TEST_F(VmmPlacement, ABarThatTheIommuRefusesIsTheGuestsAllTheSame) {
  kernel->fail(tested_backend() == Backend::Cdev ? "IOMMU_IOAS_MAP" : "VFIO_IOMMU_MAP_DMA", EFAULT);
  decode(kMemory);
  EXPECT_EQ(placed(), memory);
  EXPECT_EQ(dma_mappings(), 3U);
}

TEST_F(VmmPlacement, AVmmThatDoesNotPlaceBarsRefusesThem) {
  const auto placed = host.Hypervisor::place_bar(kGuestAddress, 0, kWindow);
  ASSERT_FALSE(placed);
  EXPECT_EQ(placed.error().code, ENOTSUP);
}

}  // namespace
}  // namespace passthru
