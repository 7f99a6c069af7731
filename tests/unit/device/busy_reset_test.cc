// SPDX-License-Identifier: MIT
// Tests of resets while the host holds the device's lock. The library retries for a while and
// reports a reset that did not happen. No other thread waits for the retries.
#include "device/busy_reset.h"

#include <gmock/gmock.h>

#include <functional>
#include <future>
#include <thread>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class BusyResetTest : public AssignedFixture {
 protected:
  void SetUp() override { open_driven(2); }
  void reset_by_the_guest() { device->config_write(kDeviceControl, 2, 0x8000); }
  [[nodiscard]] std::vector<Event> told(Event::Kind kind) const {
    std::vector<Event> found;
    for (const Event& event : host.events) {
      if (event.kind == kind) found.push_back(event);
    }
    return found;
  }
  [[nodiscard]] size_t tries() const { return kernel->calls("VFIO_DEVICE_RESET").size(); }
};

TEST_F(BusyResetTest, ALockThatIsHeldForAMomentIsWaitedFor) {
  const unsigned resets = hardware->resets();
  hardware->set_busy_resets(3);
  reset_by_the_guest();
  EXPECT_EQ(hardware->resets(), resets + 1);
  EXPECT_EQ(tries(), 4U);
  EXPECT_EQ(told(Event::Kind::DeviceReset).size(), 1U);
  EXPECT_THAT(told(Event::Kind::ResetFailed), IsEmpty());
}

TEST_F(BusyResetTest, AResetThatDidNotHappenIsTold) {
  const unsigned resets = hardware->resets();
  hardware->set_busy_resets(kForEver);
  reset_by_the_guest();
  EXPECT_EQ(hardware->resets(), resets);
  EXPECT_EQ(tries(), 101U) << "one try every 5 ms for 500 ms";
  EXPECT_THAT(told(Event::Kind::DeviceReset), IsEmpty());
  ASSERT_EQ(told(Event::Kind::ResetFailed).size(), 1U);
  EXPECT_THAT(told(Event::Kind::ResetFailed)[0].detail,
              AllOf(HasSubstr("VFIO_DEVICE_RESET"), HasSubstr("the host holds the device's lock")));
  EXPECT_EQ(device->config_read(kCommand, 2), 0U) << "what the guest sees is reset";
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_FALSE(hardware->bound(1));
  hardware->set_busy_resets(0);
  reset_by_the_guest();
  EXPECT_EQ(hardware->resets(), resets + 1) << "the next reset succeeds";
}

TEST_F(BusyResetTest, AnErrorThatIsNoLockIsNotTriedAgain) {
  kernel->fail("VFIO_DEVICE_RESET", EIO);
  reset_by_the_guest();
  EXPECT_EQ(tries(), 1U);
  EXPECT_EQ(told(Event::Kind::ResetFailed).size(), 1U);
}

TEST_F(BusyResetTest, AResetOfTheVmWaitsToo) {
  hardware->set_busy_resets(3);
  EXPECT_TRUE(device->reset());
  EXPECT_EQ(tries(), 4U);
  hardware->set_busy_resets(kForEver);
  EXPECT_EQ(device->reset().error().code, EAGAIN);
}

// A device without a reset of its own, alone on its bus.
TEST_F(BusyResetTest, AResetOfItsBusWaitsToo) {
  FakeSpec spec = FakeSpec::nvme({.bus = 1}, 10);
  spec.resets = false;
  FakeDevice& alone = plug(spec);
  const auto opened =
      AssignedDevice::open(domain, {.device = spec.bdf, .guest_address = {.device = 6}});
  ASSERT_TRUE(opened) << opened.error().message();
  EXPECT_EQ(alone.resets(), 1U) << "at its open";
  kernel->forget_calls();
  alone.set_busy_resets(3);
  EXPECT_TRUE((*opened)->reset());
  EXPECT_EQ(kernel->calls("VFIO_DEVICE_PCI_HOT_RESET").size(), 4U);
  EXPECT_EQ(alone.resets(), 2U);
}

TEST_F(BusyResetTest, AnOpenWaitsTooAndIsThenRefused) {
  device.reset();
  hardware->set_busy_resets(3);
  open();
  device.reset();
  hardware->set_busy_resets(kForEver);
  const auto opened = try_open();
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, EAGAIN);
  EXPECT_THAT(opened.error().message(), HasSubstr("the host holds the device's lock"));
  EXPECT_TRUE(kernel->nothing_leaked());
}

TEST(ResetWhileBusy, EndsWhenItIsTold) {
  unsigned tries = 0;
  const auto busy = [&]() -> Result<void> { return ++tries, fail(EAGAIN, "VFIO_DEVICE_RESET"); };
  EXPECT_EQ(reset_while_busy(busy, [&] { return tries == 3; }).error().code, EAGAIN);
  EXPECT_EQ(tries, 3U);
}

// The hardware's reset is blocked until the test releases it.
class LongResetTest : public BusyResetTest {
 protected:
  void begin() {
    begin([this] { reset_by_the_guest(); });
  }
  void begin(const std::function<void()>& cause) {
    hardware->set_reset_pause([this] {
      entered_.set_value();
      go_on_.get_future().wait();
    });
    guest_ = std::thread(cause);
    entered_.get_future().wait();
  }
  void let_it_end() {
    go_on_.set_value();
    guest_.join();
    hardware->set_reset_pause({});
  }

 private:
  std::promise<void> entered_, go_on_;
  std::thread guest_;
};

TEST_F(LongResetTest, AnotherVcpuFindsAFunctionThatDoesNotAnswer) {
  begin();
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX);
  device->config_write(kCommand, 2, 0);
  device->config_write(kCommand, 2, 6);
  EXPECT_FALSE(mapped(kWindow)) << "the writes were dropped";
  EXPECT_EQ(device->inspect().detached, "") << "inspecting the device does not wait";
  let_it_end();
  EXPECT_NE(device->config_read(0, 4), UINT32_MAX);
  EXPECT_EQ(device->config_read(kCommand, 2), 0U);
  EXPECT_EQ(told(Event::Kind::DeviceReset).size(), 1U);
}

TEST_F(LongResetTest, AnAuditDoesNotTakeItForGone) {
  device.reset();
  open({.max_silence = std::chrono::milliseconds(0)});
  begin();
  hardware->set_gone(true);
  EXPECT_EQ(device->check_health(), 0U);
  hardware->set_gone(false);
  let_it_end();
  EXPECT_EQ(device->inspect().detached, "");
}

TEST_F(LongResetTest, AResetOfTheVmHoldsUpNoOtherThread) {
  begin([this] { EXPECT_TRUE(device->reset()); });
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX) << "the function does not answer";
  EXPECT_EQ(device->check_health(), 0U);
  let_it_end();
  EXPECT_NE(device->config_read(0, 4), UINT32_MAX);
  EXPECT_EQ(device->config_read(kCommand, 2), 0U);
}

TEST_F(LongResetTest, AnotherResetByTheGuestIsDropped) {
  begin();
  reset_by_the_guest();
  let_it_end();
  EXPECT_EQ(tries(), 1U);
}

// The host unbinds the device: it holds the lock until the device is closed.
TEST_F(BusyResetTest, AnUnbindIsNotHeldUpByAReset) {
  hardware->set_busy_resets(kForEver);
  hardware->set_reset_pause([] { std::this_thread::sleep_for(std::chrono::milliseconds(20)); });
  std::thread guest([this] { reset_by_the_guest(); });
  EXPECT_TRUE(eventually([this] { return tries() != 0; }));
  hardware->notify(Irq::Request);
  device->handle_events();
  guest.join();
  EXPECT_LT(tries(), 101U);
  EXPECT_EQ(told(Event::Kind::UnplugRequest).size(), 1U);
  EXPECT_NE(device->inspect().detached, "");
}

TEST_F(BusyResetTest, ADetachForAnUnbindTriesItOnce) {
  hardware->set_busy_resets(kForEver);
  hardware->notify(Irq::Request);
  device->handle_events();
  EXPECT_EQ(tries(), 1U);
}

TEST_F(BusyResetTest, ADetachByAVmmThatWasToldOfAnUnbindTriesItOnce) {
  device.reset();
  open({.on_unplug = OnUnplug::Tell});
  hardware->set_busy_resets(kForEver);
  hardware->notify(Irq::Request);
  device->handle_events();
  EXPECT_EQ(tries(), 0U) << "the device belongs to the VMM until then";
  device->detach();
  EXPECT_EQ(tries(), 1U);
}

TEST_F(BusyResetTest, AnyOtherDetachWaits) {
  hardware->set_busy_resets(3);
  device->detach();
  EXPECT_EQ(tries(), 4U);
}

}  // namespace
}  // namespace passthru
