// SPDX-License-Identifier: MIT
// Tests of an assigned device as a whole, through the interface that a VMM uses.
#include "device/assigned_device.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AssignedDeviceTest : public AssignedFixture {
 protected:
  AssignedDeviceTest() { hardware = &plug(FakeSpec::nvme()); }
};

TEST_F(AssignedDeviceTest, ItsRegistersAreMappedAndItsTableIsNot) {
  open();
  EXPECT_THAT(host.mappings(), IsEmpty());
  place(kWindow);
  ASSERT_EQ(host.mappings().size(), 1U);
  EXPECT_EQ(host.mappings()[0].address, kWindow);
  EXPECT_EQ(host.mappings()[0].size, 0x2000U)
      << "registers and doorbells, up to the page of the table";
}

TEST_F(AssignedDeviceTest, AnInterruptTravelsFromTheDeviceToTheGuest) {
  open();
  place(kWindow);
  enable_msix();
  enable_vector(1);
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  const Inspection seen = device->inspect();
  EXPECT_EQ(seen.interrupt_mode, InterruptMode::Msix);
  ASSERT_EQ(seen.vectors.size(), 65U);
  EXPECT_EQ(seen.vectors[1].owner, EventfdOwner::Irqfd);
  EXPECT_EQ(seen.vectors[0].owner, EventfdOwner::None);
}

TEST_F(AssignedDeviceTest, ControlWrittenByBytesOrAsADwordWorksLikeAWord) {
  open();
  place(kWindow);
  enable_vector(0);
  device->config_write(kMsixControl + 1, 1, 0x80);
  EXPECT_EQ(host.armed(), 1U);
  device->config_write(kMsixControl + 1, 1, 0xc0);
  EXPECT_EQ(host.armed(), 0U);
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0xc000, 0xc000U)
      << "the guest reads back the function mask";
  device->config_write(FakeCapability::kMsix, 4, 0x8000'0000);
  EXPECT_EQ(host.armed(), 1U);
}

TEST_F(AssignedDeviceTest, TheTableReadsWhatTheGuestWroteAndTheDeviceKeepsItsOwn) {
  open();
  place(kWindow);
  enable_msix();
  enable_vector(2);
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 2 * 16 + 8), 0x42U);
  EXPECT_EQ(hardware->entry(2), hardware->host_message(2));
}

TEST_F(AssignedDeviceTest, MemoryDecodeOffTakesTheBarAway) {
  open();
  place(kWindow);
  device->config_write(kCommand, 2, 0x4);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow + 0x2000), 0xffff'ffffU);
  device->config_write(kCommand, 2, 0x6);
  EXPECT_EQ(host.mappings().size(), 1U);
}

TEST_F(AssignedDeviceTest, AMappingThatTheVmmRefusesLeavesTheRegisterAndTheOldPlace) {
  open();
  place(kWindow);
  host.fail_next("map", ENOSPC);
  device->config_write(kBar0, 4, 0xd000'0000);
  EXPECT_EQ(device->config_read(kBar0, 4) & ~0xfU, kWindow);
  ASSERT_EQ(host.mappings().size(), 1U);
  EXPECT_EQ(host.mappings()[0].address, kWindow);
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_EQ(host.events[0].kind, Event::Kind::BarRefused);
}

TEST_F(AssignedDeviceTest, AFunctionLevelResetLeavesWhatHardwareWould) {
  open();
  place(kWindow);
  enable_msix();
  enable_vector(0);
  const unsigned resets = hardware->resets();
  device->config_write(kDeviceControl, 2, 0x8000);
  EXPECT_EQ(hardware->resets(), resets + 1);
  EXPECT_EQ(device->config_read(kCommand, 2) & 0x7, 0U);
  EXPECT_EQ(device->config_read(kBar0, 4) & ~0xfU, 0U);
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0xc000, 0U);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_THAT(host.mappings(), IsEmpty());
  place(kWindow);
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 12), 1U) << "masked again";
  enable_msix();
  enable_vector(0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

TEST_F(AssignedDeviceTest, IntxIsThereUntilMsixIsEnabledAndComesBack) {
  open();
  EXPECT_TRUE(host.intx_armed());
  place(kWindow);
  hardware->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  EXPECT_FALSE(host.intx_delivered()) << "INTx stays masked until the guest's end of interrupt";
  host.end_of_intx();
  EXPECT_TRUE(host.intx_delivered()) << "the level is still asserted";
  enable_msix();
  EXPECT_FALSE(host.intx_armed());
  enable_vector(0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
  device->config_write(kMsixControl, 2, 0);
  EXPECT_TRUE(host.intx_armed());
  EXPECT_TRUE(host.intx_delivered()) << "the level was asserted meanwhile";
}

TEST_F(AssignedDeviceTest, AnIntxThatTheVmmCannotDeliverIsReportedAndNothingElseFails) {
  host.fail_next("arm_intx", ENOTSUP);
  open();
  ASSERT_EQ(host.events.size(), 1U);
  EXPECT_THAT(host.events[0].detail, HasSubstr("INTx"));
  place(kWindow);
  enable_msix();
  enable_vector(0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered) << "the kernel has disabled INTx";
}

TEST_F(AssignedDeviceTest, AResetBehindItsBackIsHealedOnRearm) {
  open();
  place(kWindow);
  enable_msix();
  enable_vector(0);
  hardware->backdoor_reset();
  EXPECT_EQ(*device->check_health(), 1U);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

TEST_F(AssignedDeviceTest, DetachingLeavesNothingAndADeviceThatWasReset) {
  open();
  place(kWindow);
  enable_msix();
  enable_vector(0);
  const unsigned resets = hardware->resets();
  device.reset();
  EXPECT_TRUE(kernel->nothing_leaked());
  EXPECT_GT(hardware->resets(), resets);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow + 0x2000), 0xffff'ffffU);
  open();
  place(kWindow);
  EXPECT_EQ(host.mappings().size(), 1U) << "the next user finds a reset device";
}

TEST_F(AssignedDeviceTest, OpeningThatFailsAtAnyCallLeaksNothingAndNamesTheDevice) {
  unsigned failures = 0;
  for (unsigned nth = 1;; ++nth) {
    SCOPED_TRACE(nth);
    kernel->forget_calls();
    kernel->fail("*", EIO, nth);
    auto opened = try_open();
    if (kernel->calls().size() < nth) break;  // there is no nth call
    if (!opened) {
      ++failures;
      EXPECT_THAT(opened.error().message(), HasSubstr("0000:00:02.0"));
      EXPECT_TRUE(kernel->nothing_leaked());
    }
  }
  EXPECT_GT(failures, 10U);
}

TEST_F(AssignedDeviceTest, ADeviceOfTheHostIsNotOpened) {
  sysfs.add({.bdf = "0000:00:03.0", .driver = "e1000e", .group = 3});
  auto opened = AssignedDevice::open(domain, {.device = Bdf{.device = 3}});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, ENODEV);
  EXPECT_THAT(opened.error().message(), HasSubstr("passthru bind 0000:00:03.0"));
}

}  // namespace
}  // namespace passthru
