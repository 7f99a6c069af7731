// SPDX-License-Identifier: MIT
// Tests of the bound on events: a guest that repeats a register write causes a few events, and the
// library counts the rest.
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <string>

#include "device/event_limit.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kWrites = 1000;
constexpr uint32_t kFlrControl = FakeCapability::kExpress + 8;

class EventsTest : public AssignedFixture {
 protected:
  void SetUp() override { hardware = &plug(FakeSpec::nvme()); }
  [[nodiscard]] uint64_t told(Event::Kind kind) const {
    return static_cast<uint64_t>(
        std::count_if(host.events.begin(), host.events.end(),
                      [kind](const Event& event) { return event.kind == kind; }));
  }
  [[nodiscard]] size_t set_irqs() const {
    const auto calls = kernel->calls();
    return static_cast<size_t>(std::count_if(calls.begin(), calls.end(), [](const FakeCall& call) {
      return call.name == "VFIO_DEVICE_SET_IRQS";
    }));
  }
};

TEST_F(EventsTest, IntxThatIsRefusedIsToldOnceAndNotTriedAtEachWrite) {
  host.fail_next("arm_intx", EBUSY);
  open();
  const size_t before = set_irqs();
  for (unsigned i = 0; i < kWrites; ++i) {
    host.fail_next("arm_intx", EBUSY);
    device->config_write(kMsixControl, 2, 0);
  }
  EXPECT_EQ(told(Event::Kind::VectorFailed), 1U);
  EXPECT_EQ(set_irqs(), before);

  host.fail_next("", 0);
  EXPECT_TRUE(device->check_health());
  EXPECT_TRUE(host.intx_armed()) << "the audit retries";
  host.fail_next("arm_intx", EBUSY);
  device->config_write(kFlrControl, 2, 0x8000);
  EXPECT_EQ(told(Event::Kind::VectorFailed), 2U)
      << "INTx had worked meanwhile, so the failure is reported again";
}

TEST_F(EventsTest, IntxThatStaysRefusedIsTriedMoreAndMoreSeldom) {
  host.fail_next("arm_intx", EBUSY);
  open();
  const size_t before = set_irqs();
  for (unsigned i = 0; i < kWrites; ++i) {
    host.fail_next("arm_intx", EBUSY);
    ignore(device->check_health(), "there is nothing to restore");
  }
  EXPECT_GE(set_irqs(), before + 2);
  EXPECT_LE(set_irqs(), before + 3 * 10) << "three calls for each of 10 tries";
  EXPECT_EQ(told(Event::Kind::VectorFailed), 1U);
}

TEST_F(EventsTest, MovesThatAreRefusedAreAHandful) {
  open();
  place(kWindow);
  for (unsigned i = 0; i < kWrites; ++i) {
    host.fail_next("map", ENOSPC);
    device->config_write(kBar0, 4, static_cast<uint32_t>(kElsewhere + i % 16 * 0x10'0000));
  }
  EXPECT_GE(told(Event::Kind::BarRefused), 1U);
  EXPECT_LE(told(Event::Kind::BarRefused), EventLimit::kBurst + 2);
}

TEST_F(EventsTest, ResetsAreAHandfulAndAllCounted) {
  open();
  for (unsigned i = 0; i < kWrites; ++i) device->config_write(kFlrControl, 2, 0x8000);
  EXPECT_LE(told(Event::Kind::DeviceReset), EventLimit::kBurst + 2);
  EXPECT_EQ(device->inspect().resets.function_level, kWrites);
}

TEST(EventLimit, SaysHowManyItHeldBack) {
  EventLimit limit;
  const auto start = EventLimit::Clock::time_point(1h);
  for (uint32_t i = 0; i < EventLimit::kBurst; ++i) EXPECT_EQ(limit.admit(start), 0U);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(limit.admit(start + 1s), std::nullopt);
  EXPECT_EQ(limit.admit(start + EventLimit::kEvery), 5U);
  EXPECT_EQ(limit.admit(start + EventLimit::kEvery + 1s), std::nullopt);
  EXPECT_EQ(limit.admit(start + 3 * EventLimit::kEvery), 1U);
}

TEST(EventLimit, APauseEarnsNoMoreThanABurst) {
  EventLimit limit;
  const auto later = EventLimit::Clock::time_point(1000h);
  uint32_t admitted = 0;
  for (int i = 0; i < 100; ++i) admitted += limit.admit(later).has_value() ? 1 : 0;
  EXPECT_EQ(admitted, EventLimit::kBurst);
}

}  // namespace
}  // namespace passthru
