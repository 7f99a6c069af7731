// SPDX-License-Identifier: MIT
// Tests of INTx for a VMM that receives levels and reports EOIs, without resampling irqfds.
#include "irq/intx.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <string_view>
#include <thread>
#include <utility>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

class IntxByLevel : public AssignedFixture {
 protected:
  IntxByLevel() {
    host.by_level = true;
    hardware = &plug(FakeSpec::nvme());
  }
  /// Returns whether the line stays low for a while.
  bool stays_low() {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
    return !host.intx_level();
  }
};

TEST_F(IntxByLevel, AnAssertedPinIsAHighLineUntilTheGuestsEoi) {
  open();
  EXPECT_FALSE(host.intx_armed()) << "there is no resampling irqfd to arm";
  EXPECT_TRUE(stays_low());
  hardware->set_intx(true);
  EXPECT_TRUE(soon_high());
  hardware->set_intx(false);
  EXPECT_TRUE(host.intx_level()) << "the pin is low, but the guest has not sent its EOI";
  device->end_of_intx();
  EXPECT_FALSE(host.intx_level());
  hardware->set_intx(true);
  EXPECT_TRUE(soon_high()) << "the EOI unmasked the pin";
}

TEST_F(IntxByLevel, WhatIsStillAssertedAtTheEoiFiresAgain) {
  open();
  hardware->set_intx(true);
  for (int round = 0; round < 20; ++round) {
    ASSERT_TRUE(soon_high()) << round;
    device->end_of_intx();
  }
  hardware->set_intx(false);
  ASSERT_TRUE(soon_high()) << "it fired once more before the pin went low";
  device->end_of_intx();
  EXPECT_TRUE(stays_low());
}

TEST_F(IntxByLevel, TheEoiOfAnotherDeviceOnTheLineCostsNothing) {
  open();
  for (int round = 0; round < 3; ++round) device->end_of_intx();
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_SET_IRQS"), IsEmpty());
  hardware->set_intx(true);
  ASSERT_TRUE(soon_high());
  device->end_of_intx();
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_SET_IRQS"), SizeIs(1));
}

TEST_F(IntxByLevel, TheLineIsLowWhileTheGuestUsesMsixAndComesBackWithItsLevel) {
  open();
  hardware->set_intx(true);
  ASSERT_TRUE(soon_high());
  enable_msix();
  EXPECT_FALSE(host.intx_level());
  device->end_of_intx();
  EXPECT_TRUE(stays_low());
  device->config_write(kMsixControl, 2, 0);
  EXPECT_TRUE(soon_high()) << "the earlier level needs no EOI";
}

TEST_F(IntxByLevel, AnEoiDoesNotWaitForAResetOrAWriteToConfigSpace) {
  open();
  const auto waits_for = [this](std::string_view slow, const std::function<void()>& act) {
    bool waited = false;
    std::future<void> eoi;
    kernel->hook.set([&](std::string_view call, bool after) {
      if (call != slow || after || eoi.valid()) return;
      eoi = std::async(std::launch::async, [this] { device->end_of_intx(); });
      waited = eoi.wait_for(std::chrono::seconds(10)) != std::future_status::ready;
    });
    act();
    kernel->hook.set({});
    EXPECT_TRUE(eoi.valid()) << "expected a call of " << slow;
    if (eoi.valid()) eoi.get();
    return waited;
  };
  EXPECT_FALSE(waits_for("VFIO_DEVICE_RESET", [this] {
    device->config_write(FakeCapability::kExpress + 8, 2, 0x8000);
  }));
  EXPECT_FALSE(waits_for("VFIO_DEVICE_SET_IRQS", [this] { enable_msix(); }));
}

/// A guest sends one EOI for each interrupt. The first EOI may come while INTx is being enabled.
TEST_F(IntxByLevel, NoEoiIsLostWhileIntxComesBack) {
  open();
  std::atomic<bool> done{false};
  std::atomic<unsigned> ended{0};
  std::thread guest([&] {
    uint64_t seen = 0;
    while (!done) {
      if (const uint64_t rises = host.intx_rises(); rises != std::exchange(seen, rises)) {
        device->end_of_intx();
        ++ended;
      }
    }
  });
  hardware->set_intx(true);
  bool goes_on = true;
  for (int round = 0; round < 100 && goes_on; ++round) {
    enable_msix();
    const unsigned before = ended;
    device->config_write(kMsixControl, 2, 0);
    goes_on = eventually([&] { return ended >= before + 3; });
    EXPECT_TRUE(goes_on) << "the line stayed high in round " << round;
  }
  done = true;
  guest.join();
}

TEST_F(IntxByLevel, AnUnmaskThatTheKernelRefusesIsReported) {
  open();
  hardware->set_intx(true);
  ASSERT_TRUE(soon_high());
  kernel->fail("VFIO_DEVICE_SET_IRQS", EIO);
  device->end_of_intx();
  ASSERT_THAT(host.events, SizeIs(1));
  device->end_of_intx();
  EXPECT_THAT(host.events, SizeIs(1)) << "reported once";
}

TEST_F(IntxByLevel, DetachingWhileItIsAssertedLeavesTheLineLowAndNothingElse) {
  open();
  hardware->set_intx(true);
  ASSERT_TRUE(soon_high());
  device.reset();
  EXPECT_FALSE(host.intx_level());
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST_F(IntxByLevel, OpeningThatFailsAtAnyCallLeavesTheLineLowAndLeaksNothing) {
  hardware->set_intx(true);
  for (unsigned nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    kernel->forget_calls();
    kernel->fail("*", EIO, nth);
    auto opened = try_open();
    if (kernel->calls().size() < nth) break;
    if (opened) continue;
    EXPECT_FALSE(host.intx_level());
    EXPECT_TRUE(kernel->nothing_leaked());
  }
}

TEST_F(IntxByLevel, WithResamplingIrqfdsAnEoiOfTheVmmIsNotWaitedFor) {
  host.by_level = false;
  open();
  hardware->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  device->end_of_intx();
  EXPECT_FALSE(host.intx_delivered()) << "only the irqfd's resampling unmasks";
  host.end_of_intx();
  EXPECT_TRUE(host.intx_delivered());
}

}  // namespace
}  // namespace passthru
