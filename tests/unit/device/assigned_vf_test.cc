// SPDX-License-Identifier: MIT
// Tests of an assigned virtual function (SR-IOV). Its physical function controls memory decode, ids
// and BARs; VFIO answers for them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr uint32_t kInterruptPin = 0x3d;
constexpr uint16_t kDecode = 0x3;

class AssignedVfTest : public AssignedFixture {
 protected:
  AssignedVfTest() { hardware = &plug(FakeSpec::nvme_vf()); }
};

TEST_F(AssignedVfTest, TheGuestFindsItsIdsAndSizesItsBar) {
  open();
  EXPECT_EQ(device->config_read(0, 4), 0x0010'1b36U);
  EXPECT_EQ(device->config_read(kInterruptPin, 1), 0U);
  device->config_write(kBar0, 4, 0xffff'ffff);
  device->config_write(kBar0 + 4, 4, 0xffff'ffff);
  EXPECT_EQ(device->config_read(kBar0, 4), 0xffff'c004U);
  EXPECT_EQ(device->config_read(kBar0 + 4, 4), 0xffff'ffffU);
}

TEST_F(AssignedVfTest, ItsBarFollowsTheDecodeBitThatOnlyTheGuestHas) {
  open();
  EXPECT_EQ(device->config_read(kCommand, 2) & kDecode, 0U);
  place(kWindow);
  EXPECT_EQ(device->config_read(kCommand, 2) & kDecode, 2U);
  EXPECT_TRUE(mapped(kWindow));
  device->config_write(kCommand, 2, 0x4);
  EXPECT_FALSE(mapped(kWindow));
}

// This reset leaves memory decode on, so no write of COMMAND makes VFIO notice it.
TEST_F(AssignedVfTest, AResetBehindItsBackIsHealedOnRearm) {
  open();
  place(kWindow);
  enable_msix();
  for (const unsigned vector : {0U, 2U}) enable_vector(vector);
  hardware->backdoor_reset();
  EXPECT_EQ(hardware->fire(2), Fired::Lost);
  EXPECT_EQ(*device->check_health(), 2U);
  host.delivered();
  EXPECT_EQ(hardware->fire(2), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(device->inspect().detached, "");
}

TEST_F(AssignedVfTest, ItIsGoneWithItsPhysicalFunction) {
  open({.max_silence = std::chrono::milliseconds(0)});
  place(kWindow);
  hardware->set_gone(true);
  EXPECT_EQ(device->check_health().error().code, ENODEV);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_NE(device->inspect().detached, "");
}

}  // namespace
}  // namespace passthru
