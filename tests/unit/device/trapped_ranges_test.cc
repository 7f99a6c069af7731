// SPDX-License-Identifier: MIT
// The ranges that a VMM learns from an assigned device, in memory and in ports.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

using Trap = FakeHypervisor::Trap;

constexpr uint16_t kMemoryAndPorts = 0x3;

/// A NIC: BAR 0 is memory, BAR 2 has 32 ports.
class TrappedRanges : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(FakeSpec::e1000e());
    open();
    device->config_write(kBar0, 4, static_cast<uint32_t>(kWindow));
    device->config_write(kBar0 + 8, 4, 0xc000);
  }
};

TEST_F(TrappedRanges, TheBarsAreAnnouncedWhileTheGuestDecodesThem) {
  EXPECT_THAT(host.traps(), IsEmpty());
  device->config_write(kCommand, 2, kMemoryAndPorts);
  const Trap memory{GuestSpace::Memory, kWindow, 0x20000};
  const Trap ports{GuestSpace::Ports, 0xc000, 32};
  EXPECT_THAT(host.traps(), ElementsAre(memory, ports));
  device->config_write(kCommand, 2, 0x1);
  EXPECT_THAT(host.traps(), ElementsAre(ports));
  device->config_write(kCommand, 2, 0);
  EXPECT_THAT(host.traps(), IsEmpty());
}

TEST_F(TrappedRanges, ARangeThatTheVmmRefusesLeavesTheRegisterAndTheOldPlace) {
  device->config_write(kCommand, 2, kMemoryAndPorts);
  const auto before = host.traps();
  host.fail_next("trap", EEXIST);
  device->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere));
  EXPECT_EQ(device->config_read(kBar0, 4), kWindow);
  EXPECT_THAT(host.traps(), testing::UnorderedElementsAreArray(before));
  EXPECT_TRUE(mapped(kWindow));
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_EQ(host.events[0].kind, Event::Kind::BarRefused);
}

TEST_F(TrappedRanges, PortsThatTheVmmRefusesLeaveTheMemoryWhereItWas) {
  host.fail_next("trap", EEXIST, 2);
  device->config_write(kCommand, 2, kMemoryAndPorts);
  EXPECT_THAT(host.traps(), IsEmpty());
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_EQ(device->config_read(kCommand, 2) & kMemoryAndPorts, 0U);
}

TEST_F(TrappedRanges, ADetachedDeviceLeavesNoAnnouncement) {
  device->config_write(kCommand, 2, kMemoryAndPorts);
  device->detach();
  EXPECT_THAT(host.traps(), IsEmpty());
}

}  // namespace
}  // namespace passthru
