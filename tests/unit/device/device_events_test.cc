// SPDX-License-Identifier: MIT
// Tests of host events for an assigned device: an unplug request, an error, a removal. Afterwards
// the guest has an empty slot, and nothing leaks.
#include <gmock/gmock.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "device/device_monitor.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class DeviceEventsTest : public AssignedFixture {
 protected:
  DeviceEventsTest() { hardware = &plug(FakeSpec::nvme()); }

  /// Opens a device and lets its guest use it.
  void open_and_use(const AssignOptions& options = {}) {
    open(options);
    place(kWindow);
    enable_msix();
    enable_vector(1);
    ASSERT_EQ(host.armed(), 1U);
  }
  [[nodiscard]] std::vector<Event> told(Event::Kind kind) const {
    std::vector<Event> found;
    for (const Event& event : host.events) {
      if (event.kind == kind) found.push_back(event);
    }
    return found;
  }
  /// Counts how many times the kernel was asked to stop signalling this index.
  [[nodiscard]] size_t disables(Irq irq) const {
    size_t count = 0;
    for (const FakeCall& call : kernel->calls("VFIO_DEVICE_SET_IRQS")) {
      if (call.index == static_cast<uint32_t>(irq) && call.count == 0) ++count;
    }
    return count;
  }
  void expect_an_empty_slot() {
    EXPECT_EQ(device->config_read(0, 4), 0xffff'ffffU);
    EXPECT_EQ(device->config_read(0x0e, 1), 0xffU);
    EXPECT_EQ(mmio_read(kWindow), 0xffff'ffffU);
    EXPECT_EQ(mmio_read(kWindow + 0x2000), 0xffff'ffffU) << "its MSI-X table";
    EXPECT_THAT(host.mappings(), IsEmpty());
    EXPECT_EQ(host.routes(), 0U);
  }
};

TEST_F(DeviceEventsTest, AnUnplugRequestDetachesTheDevice) {
  open_and_use();
  hardware->notify(Irq::Request);
  device->handle_events();
  expect_an_empty_slot();
  EXPECT_EQ(kernel->calls("VFIO_DEVICE_RESET").size(), 1U)
      << "the device is reset for the next user";
  EXPECT_EQ(disables(Irq::Request), 1U)
      << "the index is disabled before the close, which may take the kernel long";
  EXPECT_EQ(disables(Irq::Error), 1U);
  ASSERT_EQ(told(Event::Kind::UnplugRequest).size(), 1U);
  EXPECT_THAT(told(Event::Kind::UnplugRequest)[0].detail, HasSubstr("detached"));
  EXPECT_EQ(kernel->open_fds(), 2U)
      << "the two event descriptors stay open for threads that still poll them";
  EXPECT_EQ(kernel->mappings(), 0U);
}

TEST_F(DeviceEventsTest, WhatTheGuestThenDoesGoesNowhere) {
  open_and_use();
  device->detach();
  kernel->forget_calls();
  place(kWindow);
  enable_msix();
  enable_vector(2);
  device->end_of_intx();
  EXPECT_EQ(device->check_health(), 0U);
  device->detach();
  EXPECT_THAT(kernel->calls(), IsEmpty());
  const auto reset = device->reset();
  ASSERT_FALSE(reset);
  EXPECT_EQ(reset.error().code, ENODEV);
  EXPECT_THAT(reset.error().message(), HasSubstr("0000:00:02.0"));
}

TEST_F(DeviceEventsTest, WhatItWasLastCanStillBeAskedFor) {
  open_and_use();
  EXPECT_EQ(device->inspect().detached, "");
  device->detach();
  const Inspection last = device->inspect();
  EXPECT_EQ(last.detached, "by the VMM");
  ASSERT_GT(last.vectors.size(), 1U);
  EXPECT_EQ(last.vectors[1].owner, EventfdOwner::Irqfd);
  EXPECT_EQ(last.interrupt_mode, InterruptMode::Msix);
}

TEST_F(DeviceEventsTest, AVmmThatUnplugsItselfIsToldOnceAndDetachesWhenItIsReady) {
  open_and_use({.on_unplug = OnUnplug::Tell});
  for (int again = 0; again < 3; ++again) {  // as the kernel does every few seconds
    hardware->notify(Irq::Request);
    device->handle_events();
  }
  EXPECT_EQ(told(Event::Kind::UnplugRequest).size(), 1U);
  EXPECT_EQ(hardware->fire(1), Fired::Delivered) << "the guest still has it";
  device->detach();
  expect_an_empty_slot();
}

TEST_F(DeviceEventsTest, ARequestThatTheVmmIsFasterThanIsToldToNobody) {
  open_and_use();
  hardware->notify(Irq::Request);
  device->detach();
  device->handle_events();
  EXPECT_THAT(host.events, IsEmpty());
}

TEST_F(DeviceEventsTest, AnErrorIsToldAndTheGuestKeepsTheDevice) {
  open_and_use();
  hardware->zero_table();  // as the reset of a link does, in the kernel's recovery
  hardware->notify(Irq::Error);
  device->handle_events();
  ASSERT_EQ(told(Event::Kind::DeviceError).size(), 1U);
  EXPECT_EQ(device->inspect().device_errors, 1U);
  EXPECT_EQ(host.delivered().size(), 1U) << "the signal of the restored vector";
  EXPECT_EQ(hardware->fire(1), Fired::Delivered) << "the vector is restored at once";
  device->handle_events();
  EXPECT_EQ(told(Event::Kind::DeviceError).size(), 1U) << "no event since";
}

TEST_F(DeviceEventsTest, AConventionalDeviceHasNoErrorInterrupt) {
  FakeSpec spec = FakeSpec::nvme();
  spec.bdf.device = 3;
  spec.group = 3;
  spec.express = false;
  hardware = &plug(spec);
  open();
  EXPECT_EQ(device->event_fds().size(), 1U);
}

TEST_F(DeviceEventsTest, ADeviceThatIsPulledIsDetachedAfterItsSilence) {
  open_and_use({.max_silence = 30ms});
  hardware->set_gone(true);
  const auto begin = std::chrono::steady_clock::now();
  const auto first = device->check_health();
  ASSERT_FALSE(first);
  EXPECT_EQ(first.error().code, ENODEV);
  EXPECT_THAT(first.error().message(), HasSubstr("does not answer"));
  EXPECT_THAT(told(Event::Kind::DeviceGone), IsEmpty()) << "a reset can take as long";
  EXPECT_TRUE(eventually([this] {
    EXPECT_FALSE(device->check_health());
    return !told(Event::Kind::DeviceGone).empty();
  })) << "it was not detached";
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 30ms);
  expect_an_empty_slot();
  EXPECT_EQ(device->check_health(), 0U);
  EXPECT_EQ(host.events.size(), 2U) << "its silence, and its end";
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_RESET"), IsEmpty()) << "there is nothing to reset";
}

// The kernel answers for the capabilities bit of Status: it is 0, and the other bits are ones.
TEST_F(DeviceEventsTest, ADeviceWithoutCapabilitiesIsDetachedAsWell) {
  FakeSpec spec = FakeSpec::nvme();
  spec.bdf.device = 3;
  spec.group = 3;
  spec.express = spec.power_management = false;
  spec.msix.vectors = 0;
  hardware = &plug(spec);
  open({.max_silence = 0ms});
  EXPECT_EQ(device->config_read(0x06, 2), 0U);
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(told(Event::Kind::DeviceGone).size(), 1U);
}

TEST_F(DeviceEventsTest, ADeviceThatAnswersAgainInTimeStays) {
  open_and_use({.max_silence = 1h});
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  hardware->set_gone(false);
  EXPECT_EQ(device->check_health(), 0U);
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(told(Event::Kind::DeviceGone), IsEmpty());
}

TEST_F(DeviceEventsTest, ADeviceThatWasBackMayBeSilentAsLongAgain) {
  open_and_use({.max_silence = 20ms});
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  hardware->set_gone(false);
  EXPECT_EQ(device->check_health(), 0U);
  std::this_thread::sleep_for(25ms);
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  EXPECT_THAT(told(Event::Kind::DeviceGone), IsEmpty());
  hardware->set_gone(false);
  EXPECT_EQ(device->check_health(), 0U);
}

TEST_F(DeviceEventsTest, TheAuditsThreadHearsTheHostAtOnce) {
  open_and_use();
  auto audit = DeviceMonitor::start({device.get()}, DeviceMonitor::kOff);
  ASSERT_TRUE(audit);
  hardware->notify(Irq::Request);
  EXPECT_TRUE(eventually([this] { return device->config_read(0, 4) == 0xffff'ffff; }));
  audit->reset();
  EXPECT_EQ(told(Event::Kind::UnplugRequest).size(), 1U);
}

TEST_F(DeviceEventsTest, DetachesUnderTheFeetOfAGuestThatUsesIt) {
  open_and_use();
  std::atomic<bool> stop = false;
  std::atomic<unsigned> rounds = 0;
  std::thread guest([&] {
    while (!stop) {
      device->config_read(0, 4);
      mmio_read(kWindow + 0x2000);
      enable_vector(3);
      ++rounds;
    }
  });
  EXPECT_TRUE(eventually([&] { return rounds > 2; })) << "the guest did not start";
  device->detach();
  const unsigned before = rounds;
  EXPECT_TRUE(eventually([&] { return rounds > before + 2; })) << "the guest does not continue";
  stop = true;
  guest.join();
  expect_an_empty_slot();
}

TEST_F(DeviceEventsTest, NothingIsLeftWhereTheEventsCannotBeBound) {
  for (unsigned nth = 1; nth <= 2; ++nth) {
    kernel->fail("eventfd", EMFILE, nth);
    const auto opened = try_open();
    ASSERT_FALSE(opened);
    EXPECT_EQ(opened.error().code, EMFILE);
    kernel->fail("VFIO_DEVICE_SET_IRQS", EIO, nth);
    EXPECT_FALSE(try_open());
    EXPECT_TRUE(kernel->nothing_leaked());
  }
}

}  // namespace
}  // namespace passthru
