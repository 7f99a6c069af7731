// SPDX-License-Identifier: MIT
// A device that does not answer for a time: while its physical function is reset, or its firmware
// updates itself.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <string_view>
#include <thread>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class SilentDevice : public AssignedFixture {
 protected:
  /// Opens a drive whose guest uses vectors 0 and 1.
  void open_used(const AssignOptions& options = {}) {
    hardware = &plug(FakeSpec::nvme());
    open(options);
    start_driver(2);
    host.delivered();
  }
};

TEST_F(SilentDevice, Case15TheBarsLeaveTheGuestAtOnce) {
  open_used();
  hardware->set_gone(true);
  const auto checked = device->check_health();
  ASSERT_FALSE(checked);
  EXPECT_EQ(checked.error().code, ENODEV);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow), UINT32_MAX);
  EXPECT_EQ(device->config_read(0, 4), UINT32_MAX);
  EXPECT_EQ(device->inspect().detached, "");
  EXPECT_FALSE(device->check_health());
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceSilent)) << "once";
  EXPECT_THAT(host.events[0].detail, HasSubstr("at most 60 s"));
}

TEST_F(SilentDevice, Case15WhenItAnswersTableDecodeAndBarsAreBack) {
  open_used();
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  hardware->backdoor_reset();
  hardware->set_gone(false);
  EXPECT_EQ(*device->check_health(), 2U) << "vectors restored";
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceSilent, Event::Kind::DamageRestored,
                                  Event::Kind::DeviceAnswers));
  EXPECT_TRUE(mapped(kWindow));
  mmio_write(kWindow + 0x1000, 0x1234'5678);
  EXPECT_EQ(mmio_read(kWindow + 0x1000), 0x1234'5678U) << "memory decode is on";
  EXPECT_EQ(device->config_read(kBar0, 4) & ~0xfU, kWindow);
  host.delivered();
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
}

TEST_F(SilentDevice, Case15ASilenceBetweenTwoChecksIsNotSeen) {
  open_used();
  hardware->set_gone(true);
  hardware->set_gone(false);
  EXPECT_EQ(*device->check_health(), 0U);
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_TRUE(mapped(kWindow));
}

TEST_F(SilentDevice, Case15ASingleReadThatFailsDoesNotCount) {
  open_used();
  for (const int code : {EIO, EAGAIN, ENODEV}) {
    kernel->fail("pread", code);
    EXPECT_EQ(device->check_health(), 0U) << code;
    EXPECT_TRUE(mapped(kWindow)) << code;
  }
  EXPECT_THAT(told(), IsEmpty());
}

TEST_F(SilentDevice, Case15ASingleReadOfAllOnesDoesNotCount) {
  open_used();
  hardware->set_gone(true);
  kernel->hook.set([this](std::string_view call, bool after) {
    if (call == "pread" && after) hardware->set_gone(false);
  });
  EXPECT_EQ(device->check_health(), 0U);
  EXPECT_TRUE(mapped(kWindow));
  EXPECT_THAT(told(), IsEmpty());
  kernel->hook.set({});
}

TEST_F(SilentDevice, Case15ReadsThatFailTwiceCount) {
  open_used();
  kernel->fail("pread", EIO);
  kernel->fail("pread", EIO, 2);
  EXPECT_FALSE(device->check_health());
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceSilent));
}

TEST_F(SilentDevice, Case15ADeviceThatIsKnownToBeSilentIsReadOnce) {
  open_used();
  kernel->forget_calls();
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(kernel->calls("pread").size(), 2U);
  kernel->forget_calls();
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(kernel->calls("pread").size(), 1U);
}

// In each round an access begins after the first read, and the device answers when that access has
// ended. If the access waited for the second read, the second read would never get an answer.
TEST_F(SilentDevice, Case15NoAccessWaitsForTheSecondRead) {
  open_used();
  EXPECT_TRUE(eventually([this] {
    std::thread vcpu;
    hardware->set_gone(true);
    kernel->hook.set([&](std::string_view call, bool after) {
      if (call != "pread" || !after || vcpu.joinable()) return;
      vcpu = std::thread([this] {
        device->config_read(0, 4);
        hardware->set_gone(false);
      });
    });
    const bool in_time = device->check_health().has_value();
    vcpu.join();
    kernel->hook.set({});
    EXPECT_TRUE(device->check_health());
    return in_time;
  }));
}

TEST_F(SilentDevice, Case15ItIsGivenUpAfterTheLimit) {
  open_used({.max_silence = 20ms});
  hardware->set_gone(true);
  const auto begin = std::chrono::steady_clock::now();
  EXPECT_TRUE(eventually([this] {
    EXPECT_FALSE(device->check_health());
    return device->inspect().detached == "it has not answered for 20 ms";
  }));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 20ms);
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceSilent, Event::Kind::DeviceGone));
}

TEST_F(SilentDevice, Case15ItIsGivenUpAtOnceWhenItHasLeftTheMachine) {
  open_used({.max_silence = 1h});
  hardware->set_gone(true);
  sysfs.remove(hardware->spec().bdf.str());
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(device->inspect().detached, "it is no longer in the machine");
  EXPECT_THAT(told(), ElementsAre(Event::Kind::DeviceSilent, Event::Kind::DeviceGone));
}

TEST_F(SilentDevice, Case15TheLimitOfAnOpenIsAnother) {
  open_used({.response_timeout = 0ms, .max_silence = 1h});
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  EXPECT_EQ(device->inspect().detached, "");
}

TEST_F(SilentDevice, Case15AResetOfTheVmEndsTheSilence) {
  open_used();
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  hardware->set_gone(false);
  ASSERT_TRUE(device->reset());
  EXPECT_NE(device->config_read(0, 4), UINT32_MAX);
  start_driver(1);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  EXPECT_EQ(*device->check_health(), 0U);
}

TEST_F(SilentDevice, Case15BarsThatTheVmmRefusesAreTriedAgain) {
  open_used();
  hardware->set_gone(true);
  EXPECT_FALSE(device->check_health());
  hardware->set_gone(false);
  host.fail_next("map", ENOSPC);
  EXPECT_FALSE(device->check_health());
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_TRUE(device->check_health());
  EXPECT_TRUE(mapped(kWindow));
}

}  // namespace
}  // namespace passthru
