// SPDX-License-Identifier: MIT
// Tests of a device that is never reset (AssignOptions::reset).
#include <gmock/gmock.h>

#include <vector>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint32_t kDeviceCapabilities = FakeCapability::kExpress + 4;
constexpr uint32_t kFunctionLevelReset = 1U << 28;

class NoResetTest : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(FakeSpec::nvme());
    open({.reset = false});
  }
};

TEST_F(NoResetTest, ItsOpenWarnsThatTheGuestFindsTheLastUsersState) {
  EXPECT_EQ(hardware->resets(), 0U);
  ASSERT_THAT(host.events, SizeIs(1));
  EXPECT_EQ(host.events[0].kind, Event::Kind::DeviceLimited);
  EXPECT_THAT(host.events[0].detail, HasSubstr("it is never reset"));
  EXPECT_THAT(host.events[0].detail, HasSubstr("the state that the device's last user left"));
}

TEST_F(NoResetTest, TheGuestFindsNoFunctionLevelReset) {
  EXPECT_EQ(device->config_read(kDeviceCapabilities, 4) & kFunctionLevelReset, 0U);
  start_driver(1);
  device->config_write(kDeviceControl, 2, 0x8000);
  EXPECT_EQ(hardware->resets(), 0U);
  EXPECT_EQ(device->inspect().resets.function_level, 0U);
  EXPECT_TRUE(mapped(kWindow)) << "the guest's view is not reset either";
}

TEST_F(NoResetTest, AResetOfTheVmResetsOnlyWhatTheGuestSees) {
  start_driver(1);
  EXPECT_TRUE(device->reset());
  EXPECT_EQ(hardware->resets(), 0U);
  EXPECT_EQ(device->config_read(kCommand, 2), 0U);
  EXPECT_FALSE(mapped(kWindow));
  EXPECT_FALSE(hardware->bound(0));
}

TEST_F(NoResetTest, ADetachDoesNotResetIt) {
  device->detach();
  EXPECT_THAT(kernel->calls("VFIO_DEVICE_RESET"), IsEmpty());
}

TEST_F(NoResetTest, NoOtherDeviceIsResetTogetherWithIt) {
  FakeSpec spec = FakeSpec::nvme({.bus = 1}, 10);
  spec.resets = false;
  FakeDevice& kept = plug(spec);
  spec.bdf.function = 1;
  FakeDevice& beside = plug(spec);
  const auto a = AssignedDevice::open(
      domain, {.device = kept.spec().bdf, .guest_address = {.device = 6}, .reset = false});
  ASSERT_TRUE(a) << a.error().message();
  const auto b =
      AssignedDevice::open(domain, {.device = beside.spec().bdf, .guest_address = {.device = 7}});
  ASSERT_TRUE(b) << b.error().message();
  EXPECT_THAT(host.events.back().detail, HasSubstr("also reset 0000:01:00.0, which this VM uses"));
  const std::vector<AssignedDevice*> both = {a->get(), b->get()};
  const auto done = AssignedDevice::reset_together(both);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, EPERM);
  EXPECT_EQ(kept.resets(), 0U);
  EXPECT_EQ(beside.resets(), 0U);
}

}  // namespace
}  // namespace passthru
