// SPDX-License-Identifier: MIT
// Tests of a guest that puts its device into D3 and wakes it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PowerStates : public AssignedFixture {
 protected:
  void SetUp() override {
    hardware = &plug(FakeSpec::nvme());
    open();
  }
};

TEST_F(PowerStates, InD3HotBarsAndInterruptsAreGoneAndInD0TheyAreBack) {
  place(kWindow);
  enable_msix();
  enable_vector(1);
  device->config_write(kPowerControl, 2, 3);
  EXPECT_THAT(host.mappings(), IsEmpty());
  EXPECT_EQ(mmio_read(kWindow + 0x2000), UINT32_MAX);
  hardware->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty()) << "a sleeping function signals nothing";
  EXPECT_EQ(device->config_read(kMsixControl, 2) & 0xc000, 0x8000U)
      << "sleep does not change the guest's mask";
  device->config_write(kPowerControl, 2, 0);
  EXPECT_THAT(host.mappings(), SizeIs(1));
  EXPECT_EQ(mmio_read(kWindow + 0x2000 + 16 + 8), 0x41U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1))) << "once";
  EXPECT_EQ(hardware->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), SizeIs(1));
}

TEST_F(PowerStates, IntxLeavesInD3HotAndComesBackWithItsLevel) {
  device->config_write(kPowerControl, 2, 3);
  EXPECT_FALSE(host.intx_armed());
  hardware->set_intx(true);
  enable_msix();
  device->config_write(kMsixControl, 2, 0);
  EXPECT_FALSE(host.intx_armed()) << "writes during sleep do not arm INTx";
  device->config_write(kPowerControl, 2, 0);
  EXPECT_TRUE(host.intx_delivered());
}

TEST_F(PowerStates, AResetInD3HotIsPowerOn) {
  device->config_write(kPowerControl, 2, 3);
  ASSERT_TRUE(device->reset());
  EXPECT_TRUE(host.intx_armed());
  place(kWindow);
  enable_msix();
  enable_vector(0);
  EXPECT_EQ(hardware->fire(0), Fired::Delivered);
}

}  // namespace
}  // namespace passthru
