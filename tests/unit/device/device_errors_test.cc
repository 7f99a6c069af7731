// SPDX-License-Identifier: MIT
// Uncorrectable errors (AER) of a device whose link the kernel then resets.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>

#include "device/device_monitor.h"
#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;

constexpr uint32_t kMalformed = 0x0004'0000;
constexpr uint32_t kUnsupported = 0x0010'0000;
constexpr uint32_t kSeverity = 0x0046'2030;  // as after power-on: malformed TLP is fatal
constexpr uint32_t kBusMaster = 0x4;

using DeviceErrors = AssignedFixture;

TEST_F(DeviceErrors, Case16AFatalErrorIsReportedWithItsBits) {
  open_driven(1);
  hardware->report_errors(kMalformed, kSeverity);
  device->handle_events();
  ASSERT_THAT(told(), ElementsAre(Event::Kind::DeviceError));
  EXPECT_EQ(host.events[0].detail,
            "fatal error (AER): malformed TLP (status 0x00040000). The host's kernel resets the "
            "link. The guest keeps the device");
  EXPECT_EQ(device->inspect().device_errors, 1U);
}

TEST_F(DeviceErrors, Case16AnErrorThatIsNotFatalIsCalledSo) {
  open_driven(1);
  hardware->report_errors(kUnsupported, kSeverity);
  device->handle_events();
  EXPECT_EQ(host.events.at(0).detail,
            "error that is not fatal (AER): unsupported request (status 0x00100000). The guest "
            "keeps the device");
}

TEST_F(DeviceErrors, Case16AnErrorThatWasReportedIsNotMixedWithTheNext) {
  open_driven(1);
  hardware->report_errors(kUnsupported, kSeverity);
  device->handle_events();
  hardware->report_errors(kUnsupported | kMalformed, kSeverity);
  device->handle_events();
  hardware->report_errors(kUnsupported | kMalformed, kSeverity);
  device->handle_events();
  ASSERT_EQ(host.events.size(), 3U);
  EXPECT_THAT(host.events[1].detail, HasSubstr("malformed TLP (status 0x00040000)"));
  EXPECT_THAT(host.events[2].detail,
              HasSubstr("malformed TLP; error that is not fatal: unsupported request"))
      << "which of them came again is unknown";
}

TEST_F(DeviceErrors, Case16WhileTheLinkIsResetTheGuestReadsAllOnes) {
  open_driven(1);
  hardware->set_gone(true);
  hardware->report_errors(kMalformed, kSeverity);
  device->handle_events();
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceError, Event::Kind::DeviceSilent));
  EXPECT_THAT(host.events[0].detail, HasSubstr("does not answer now"));
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX);
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_TRUE(device->is_silent());
}

TEST_F(DeviceErrors, Case16AfterTheResetOfTheLinkTheDeviceIsRestoredAndTheBitsAreReported) {
  open_driven(2);
  hardware->set_gone(true);
  hardware->report_errors(kMalformed, kSeverity);
  device->handle_events();
  hardware->backdoor_reset();
  hardware->set_gone(false);
  EXPECT_EQ(*device->check_health(), 2U) << "vectors restored";
  EXPECT_EQ(host.events.back().kind, Event::Kind::DeviceAnswers);
  EXPECT_THAT(host.events.back().detail,
              EndsWith("it had a fatal error (AER): malformed TLP (status 0x00040000)"));
  EXPECT_FALSE(device->is_silent());
  EXPECT_TRUE(mapped(kWindow));
  EXPECT_NE(device->config_read(kCommand, 2) & kBusMaster, 0U) << "the device may use DMA again";
  host.delivered();
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
}

TEST_F(DeviceErrors, Case16AResetThatWasOverBeforeTheEventIsUndone) {
  hardware = &plug(FakeSpec::nvme());
  open();
  place(kWindow);  // without vectors, which an audit would find damaged
  hardware->backdoor_reset();
  hardware->report_errors(kMalformed, kSeverity);
  device->handle_events();
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceError));
  EXPECT_NE(device->config_read(kCommand, 2) & kBusMaster, 0U);
  mmio_write(kWindow + 0x1000, 0x1234'5678);
  EXPECT_EQ(mmio_read(kWindow + 0x1000), 0x1234'5678U) << "memory decode is on";
}

TEST_F(DeviceErrors, Case16ADeviceThatDoesNotComeBackIsGivenUpAndOthersGoOn) {
  FakeDevice& other = plug(FakeSpec::nvme({.device = 9}, 9));
  auto second =
      AssignedDevice::open(domain, {.device = other.spec().bdf, .guest_address = {.device = 6}});
  ASSERT_TRUE(second) << second.error().message();
  hardware = &plug(FakeSpec::nvme());
  open({.max_silence = 0ms});
  start_driver(1);
  hardware->set_gone(true);
  hardware->report_errors(kMalformed, kSeverity);
  device->handle_events();
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceError, Event::Kind::DeviceSilent,
                                  Event::Kind::DeviceGone));
  EXPECT_FALSE(device->is_silent()) << "it is detached";
  EXPECT_EQ((*second)->check_health(), 0U);
  EXPECT_EQ((*second)->config_read(0, 2), other.spec().vendor);
}

TEST_F(DeviceErrors, Case16WithoutRegularChecksAResetLinkIsAwaitedAllTheSame) {
  open_driven(1);
  const auto monitor = DeviceMonitor::start({device.get()}, DeviceMonitor::kOff);
  ASSERT_TRUE(monitor);
  hardware->set_gone(true);
  hardware->report_errors(kMalformed, kSeverity);
  ASSERT_TRUE(eventually([this] { return device->is_silent(); }));
  hardware->backdoor_reset();
  hardware->set_gone(false);
  EXPECT_TRUE(eventually([this] { return !device->is_silent(); }));
  EXPECT_EQ(device->inspect().detached, "");
  EXPECT_TRUE(mapped(kWindow));
}

}  // namespace
}  // namespace passthru
