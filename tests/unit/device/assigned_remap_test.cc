// SPDX-License-Identifier: MIT
// Tests of invalid interrupt messages and of a VMM's interrupt remapping, for a whole device.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AssignedRemapTest : public AssignedFixture {
 protected:
  AssignedRemapTest() { hardware = &plug(FakeSpec::nvme()); }
  void open_with_live_vectors() {
    open();
    place(kWindow);
    enable_msix();
    for (unsigned vector = 0; vector < 3; ++vector) enable_vector(vector);
    host.delivered();  // growing the index signals the other vectors
    host.events.clear();
  }
  /// Redirects all interrupts to another CPU, or refuses all.
  void remap_to(std::optional<uint64_t> cpu) {
    host.translation = [cpu](const MsiMessage& message, uint16_t) -> Result<MsiMessage> {
      if (!cpu) return fail(EINVAL, "deliver an interrupt", "the entry is not present");
      return MsiMessage{message.address | *cpu << 12, message.data};
    };
  }
  void write_address(unsigned vector, uint32_t address) {
    mmio_write(kWindow + 0x2000 + vector * 16, address);
    mmio_write(kWindow + 0x2008 + vector * 16, message_of(vector).data);
  }
};

TEST_F(AssignedRemapTest, AMessageThatIsNoInterruptIsToldOfOnceAndNamedByInspect) {
  open_with_live_vectors();
  for (const uint32_t address : {0x1000U, 0xfee0'0010U, 0xfee0'0020U, 0U}) {
    write_address(1, address);
    hardware->fire(1);
    hardware->fire(2);
    EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
    const Inspection seen = device->inspect();
    EXPECT_NE(seen.vectors[1].unroutable, "");
    EXPECT_EQ(seen.vectors[1].guest_message.address, address);
    EXPECT_EQ(seen.vectors[1].owner, EventfdOwner::Latch);
    EXPECT_EQ(seen.vectors[2].unroutable, "");
    EXPECT_EQ(seen.refused_messages, 1U);
  }
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_EQ(host.events[0].kind, Event::Kind::VectorFailed);
  EXPECT_THAT(host.events[0].detail, HasSubstr("vector 1: "));
  EXPECT_THAT(host.events[0].detail, HasSubstr("0x1000 is not an interrupt address"));
}

TEST_F(AssignedRemapTest, AChangeOfRemappingTakesEffectWithoutSetIrqs) {
  open_with_live_vectors();
  kernel->forget_calls();
  remap_to(5);
  device->retranslate([](const MsiMessage& message) { return message == message_of(1); });
  for (unsigned vector = 0; vector < 3; ++vector) hardware->fire(vector);
  EXPECT_THAT(host.delivered(),
              ElementsAre(message_of(0), MsiMessage{0xfee0'5000, 0x41}, message_of(2)));
  EXPECT_TRUE(kernel->calls("VFIO_DEVICE_SET_IRQS").empty());
}

TEST_F(AssignedRemapTest, WhatFiresWhileTheVmmRefusesIsDeliveredWhenItNoLongerDoes) {
  open_with_live_vectors();
  remap_to(std::nullopt);
  device->retranslate();
  hardware->fire(0);
  hardware->fire(2);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_THAT(device->inspect().vectors[2].unroutable, HasSubstr("not present"));
  remap_to(0);
  device->retranslate();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0), message_of(2)));
}

TEST_F(AssignedRemapTest, MessagesOfMsiAreNoExceptions) {
  FakeSpec spec = FakeSpec::e1000e();
  spec.bdf.device = 9;
  spec.group = 9;
  hardware = &plug(spec);
  open();
  device->config_write(FakeCapability::kMsi + 4, 4, 0x1000);
  device->config_write(FakeCapability::kMsi + 12, 2, 0x41);
  device->config_write(FakeCapability::kMsi + 2, 2, 1);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered) << "the latch takes the signal";
  EXPECT_THAT(host.delivered(), IsEmpty());
  Inspection seen = device->inspect();
  EXPECT_EQ(seen.interrupt_mode, InterruptMode::Msi);
  EXPECT_NE(seen.vectors[0].unroutable, "");
  EXPECT_EQ(seen.refused_messages, 1U);
  device->config_write(FakeCapability::kMsi + 4, 4, 0xfee0'0000);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  remap_to(5);
  device->retranslate();
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'5000, 0x41}));
}

TEST_F(AssignedRemapTest, ADetachedDeviceHasNothingToRemap) {
  open_with_live_vectors();
  device->detach();
  host.translation = [](const MsiMessage& message, uint16_t) -> Result<MsiMessage> {
    ADD_FAILURE() << "the library asked for a translation";
    return message;
  };
  device->retranslate();
}

TEST_F(AssignedRemapTest, AResetForgetsWhatWasRefused) {
  open_with_live_vectors();
  write_address(1, 0x1000);
  ASSERT_TRUE(device->reset());
  EXPECT_EQ(device->inspect().vectors[1].unroutable, "");
}

// For ThreadSanitizer: a vCPU masks and unmasks, another thread invalidates, the device fires.
TEST_F(AssignedRemapTest, InvalidationsRaceWithTheGuestAndNothingIsLost) {
  open_with_live_vectors();
  std::atomic<uint64_t> cpu = 0;
  host.translation = [&cpu](const MsiMessage& message, uint16_t) -> Result<MsiMessage> {
    const uint64_t now = cpu;
    if (now % 3 == 2) return fail(EINVAL, "deliver an interrupt", "the entry is not present");
    return MsiMessage{message.address | now % 3 << 12, message.data};
  };
  std::atomic<bool> done = false;
  std::thread iommu([&] {
    while (!done) {
      ++cpu;
      device->retranslate();
    }
  });
  const auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(200);
  while (std::chrono::steady_clock::now() < end) {
    mmio_write(kWindow + 0x200c + 16, 1);
    mmio_write(kWindow + 0x200c + 16, 0);
    EXPECT_EQ(device->inspect().vectors.size(), 65U);
  }
  done = true;
  iommu.join();
  host.delivered();
  cpu = 2;
  device->retranslate();
  hardware->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  cpu = 3;
  device->retranslate();
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
}

}  // namespace
}  // namespace passthru
