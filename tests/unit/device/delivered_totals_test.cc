// SPDX-License-Identifier: MIT
// Tests of a device's delivered interrupts by kind, INTx included (it has no vector), and of the
// text summary.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/device/assigned_fixture.h"
#include "tools/run/run_summary.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;
using ::testing::SizeIs;

class DeliveredIntx : public AssignedFixture {
 protected:
  DeliveredIntx() { hardware = &plug(FakeSpec::nvme()); }
  uint64_t count() { return device->inspect().delivered.intx; }
};

TEST_F(DeliveredIntx, ByIrqfdsAreThoseThatTheGuestHasEnded) {
  open();
  EXPECT_EQ(count(), 0U);
  for (uint64_t round = 1; round <= 3; ++round) {
    hardware->set_intx(true);
    EXPECT_TRUE(host.intx_delivered());
    hardware->set_intx(false);
    host.end_of_intx();
    EXPECT_EQ(count(), round);
  }
  enable_msix();
  EXPECT_EQ(count(), 3U) << "the count stays while MSI-X is disabled";
  device->config_write(kMsixControl, 2, 0);
  host.end_of_intx();
  EXPECT_EQ(count(), 4U);
  device->detach();
  EXPECT_EQ(count(), 4U);
}

TEST_F(DeliveredIntx, ByLevelsAreThoseThatTheDeviceHadRaised) {
  host.by_level = true;
  open();
  device->end_of_intx();  // the EOI of another device on the line
  EXPECT_EQ(count(), 0U);
  for (uint64_t round = 1; round <= 3; ++round) {
    hardware->set_intx(true);
    ASSERT_TRUE(soon_high());
    hardware->set_intx(false);
    device->end_of_intx();
    EXPECT_EQ(count(), round);
  }
}

TEST_F(DeliveredIntx, AVmmThatRefusesToCountHasIntxAllTheSame) {
  host.fail_next("arm_intx", ENOSPC, 2);
  open();
  EXPECT_THAT(host.events, SizeIs(0));
  hardware->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  host.end_of_intx();
  EXPECT_TRUE(host.intx_delivered()) << "the level is still asserted";
  EXPECT_EQ(count(), 0U);
  hardware->set_intx(false);
}

TEST_F(DeliveredIntx, IsApartFromMsi) {
  FakeSpec spec = FakeSpec::nvme({.device = 3}, 3);
  spec.msi_vectors = 1;
  hardware = &plug(spec);
  open();
  hardware->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  hardware->set_intx(false);
  host.end_of_intx();
  device->config_write(FakeCapability::kMsi + 4, 4, 0xfee0'0000);
  device->config_write(FakeCapability::kMsi + 12, 2, 0x40);
  device->config_write(FakeCapability::kMsi + 2, 2, 1);
  const uint64_t before = device->inspect().delivered.msi;
  ASSERT_TRUE(device->trigger(0));
  const DeliveredCounts delivered = device->inspect().delivered;
  EXPECT_EQ(delivered.msi, before + 1);
  EXPECT_EQ(delivered.msix, 0U);
  EXPECT_EQ(delivered.intx, 1U);
}

TEST_F(DeliveredIntx, IsApartFromTheSumOfTheVectors) {
  open();
  place(kWindow);
  hardware->set_intx(true);
  EXPECT_TRUE(host.intx_delivered());
  hardware->set_intx(false);
  host.end_of_intx();
  enable_msix();
  enable_vector(0);
  enable_vector(1);
  ASSERT_TRUE(device->trigger(0));
  device->detach();
  const Inspection last = device->inspect();
  uint64_t sum = 0;
  for (const VectorInspection& vector : last.vectors) sum += vector.delivered;
  EXPECT_EQ(last.delivered.msix, sum);
  EXPECT_GE(sum, 1U);
  EXPECT_EQ(last.delivered.intx, 1U);
  EXPECT_EQ(last.delivered.msi, 0U);
}

TEST(DeliveredText, TheSumIsOfAllKinds) {
  Inspection inspection;
  inspection.delivered = {.intx = 1, .msi = 20, .msix = 300};
  EXPECT_THAT(tools::summary(inspection),
              HasSubstr("321 delivered (300 by MSI-X, 20 by MSI, 1 by INTx),"));
}

TEST(DeliveredText, TheSummaryHasEachKindThatWasUsed) {
  Inspection inspection;
  inspection.vectors.resize(3);
  inspection.vectors[0].bound = true;
  inspection.vectors[1].delivered = 5;
  inspection.delivered = {.intx = 35, .msix = 5};
  inspection.restores = 3;
  inspection.rearms = 2;
  const std::string text = tools::summary(inspection);
  EXPECT_THAT(text, HasSubstr("2 of 3 vectors used, 40 delivered (5 by MSI-X, 35 by INTx),"));
  EXPECT_THAT(text, HasSubstr("3 restores, 2 rearms"));
  EXPECT_THAT(tools::summary({}), HasSubstr("0 delivered, 0 SET_IRQS"));
}

}  // namespace
}  // namespace passthru
