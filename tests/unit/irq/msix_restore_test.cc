// SPDX-License-Identifier: MIT
// Tests of finding and restoring a damaged MSI-X table and Message Control.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(MsixTest, AClearedEntryIsRestoredBeforeItsVectorIsLive) {
  live(2);
  mask(0, true);
  fake->set_entry(0, {0, 0, 0, 0});
  EXPECT_EQ(fake->fire(0), Fired::Lost);
  mask(0, false);
  EXPECT_EQ(fake->entry(0), fake->host_message(0));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)))
      << "the vector may have fired while its entry was cleared";
  EXPECT_EQ(restored, 1U);
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
}

TEST_F(MsixTest, AnAuditRestoresWhatIsClearedAndNothingElse) {
  live(4);
  EXPECT_EQ(*msix->audit(), 0U);
  fake->set_entry(2, {0, 0, 0, 0});
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(fake->entry(2), fake->host_message(2));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
}

TEST_F(MsixTest, AResetBehindOurBackIsHealedWithTheEnableBit) {
  live(3);
  fake->backdoor_reset();
  ASSERT_EQ(fake->fire(1), Fired::Lost);
  EXPECT_EQ(*msix->audit(), 3U);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1), message_of(2)));
  for (unsigned vector = 0; vector < 3; ++vector) EXPECT_EQ(fake->fire(vector), Fired::Delivered);
}

TEST_F(MsixTest, ALostEnableBitOrAFunctionMaskLeftOnIsHealed) {
  live(1);
  for (const uint16_t damaged :
       {uint16_t{0}, uint16_t{PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL}}) {
    fake->set_msix_control(damaged);
    EXPECT_EQ(*msix->audit(), 1U);
    EXPECT_EQ(fake->fire(0), Fired::Delivered);
    host.delivered();
  }
}

TEST_F(MsixTest, AVectorThatCannotBeRestoredDelaysNoOther) {
  live(3);
  fake->zero_table();
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 2);
  EXPECT_EQ(msix->audit().error().code, EIO);
  EXPECT_THAT(failures, ElementsAre(std::pair{1U, EIO}));
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(2)));
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
}

TEST_F(MsixTest, WhereTheTableCannotBeSeenUnmaskingReissuesTheVector) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.mappable = false;
  live(1, spec);
  mask(0, true);
  fake->set_entry(0, {0, 0, 0, 0});
  mask(0, false);
  EXPECT_EQ(fake->entry(0), fake->host_message(0));
}

TEST_F(MsixTest, WhatAFailedRestoreLostIsTriedAgainUntilItIsBack) {
  live(3);
  fake->backdoor_reset();
  fail_enabling(ENOMEM);
  EXPECT_EQ(msix->audit().error().code, ENOMEM);
  kernel.fail("VFIO_DEVICE_SET_IRQS", ENOMEM);
  EXPECT_EQ(msix->audit().error().code, ENOMEM);
  EXPECT_THAT(failures,
              ElementsAre(std::pair{0U, ENOMEM}, std::pair{1U, ENOMEM}, std::pair{2U, ENOMEM}))
      << "reported once";
  EXPECT_FALSE(msix->inspect()[1].bound);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(*msix->audit(), 3U);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1), message_of(2)));
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_THAT(host.delivered(), IsEmpty());
  for (unsigned vector = 0; vector < 3; ++vector) EXPECT_EQ(fake->fire(vector), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1), message_of(2)));
}

TEST_F(MsixTest, ALostVectorThatIsMaskedMeanwhileComesBackLatched) {
  live(2);
  fake->backdoor_reset();
  fail_enabling(ENOMEM);
  EXPECT_FALSE(msix->audit());
  kernel.fail("VFIO_DEVICE_SET_IRQS", ENOMEM);  // otherwise the guest's access would restore it
  mask(1, true);
  EXPECT_EQ(*msix->audit(), 2U);
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(pending_bits(), 2U);
  mask(1, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
}

TEST_F(MsixTest, ATouchOfOneLostVectorBringsAllBack) {
  for (const bool visible : {true, false}) {
    SCOPED_TRACE(visible);
    FakeSpec spec = FakeSpec::nvme();
    spec.group = visible ? 1 : 2;
    spec.bdf.bus = visible ? 1 : 2;
    spec.msix.mappable = visible;
    live(3, spec);
    fake->backdoor_reset();
    fail_enabling(ENOMEM);
    EXPECT_FALSE(msix->audit());
    mask(1, true);
    mask(1, false);
    EXPECT_THAT(host.delivered(),
                UnorderedElementsAre(message_of(0), message_of(1), message_of(2)));
    for (unsigned vector = 0; vector < 3; ++vector) EXPECT_EQ(fake->fire(vector), Fired::Delivered);
    host.delivered();
    EXPECT_EQ(*msix->audit(), 0U);
    table.reset();
    pba.reset();
    msix.reset();
  }
}

TEST_F(MsixTest, ANewVectorBringsTheLostOnesBack) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(2);
  host.delivered();
  fake->backdoor_reset();
  fail_enabling(ENOMEM);
  EXPECT_FALSE(msix->audit());
  program_and_unmask(0);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  EXPECT_EQ(fake->fire(2), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(2)));
}

TEST_F(MsixTest, AnIndexWithoutVectorsThatIsLostIsTriedAgain) {
  live(0);
  fake->backdoor_reset();
  kernel.fail("VFIO_DEVICE_SET_IRQS", ENOMEM, 2);
  EXPECT_FALSE(msix->audit());
  EXPECT_EQ(fake->msix_control() & PCI_MSIX_FLAGS_ENABLE, 0);
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_NE(fake->msix_control() & PCI_MSIX_FLAGS_ENABLE, 0);
}

TEST_F(MsixTest, AnIndexThatCannotBeDisabledLosesNothing) {
  live(1);
  fake->backdoor_reset();
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO);
  EXPECT_FALSE(msix->audit());
  EXPECT_TRUE(msix->inspect()[0].bound);
  EXPECT_THAT(host.delivered(), IsEmpty()) << "nothing was restored";
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
}

TEST_F(MsixTest, WhatAFailedGrowthLostIsBroughtBackByALook) {
  live(1);
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 2);
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 3);  // binding the old vectors again
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 4);  // enabling the index without vectors
  program_and_unmask(1);
  EXPECT_THAT(failures, UnorderedElementsAre(std::pair{0U, EIO}, std::pair{1U, EIO}));
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
}

TEST_F(MsixTest, GrowthThatGoesBackSignalsWhatWasBoundBefore) {
  live(1);
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 2);
  program_and_unmask(1);
  EXPECT_THAT(failures, ElementsAre(std::pair{1U, EIO}));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0))) << "vector 0 may have fired meanwhile";
}

TEST_F(MsixTest, AVectorThatCouldNotBeReissuedIsLiveAfterALook) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.mappable = false;
  live(1, spec);
  mask(0, true);
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO);
  mask(0, false);
  EXPECT_THAT(failures, ElementsAre(std::pair{0U, EIO}));
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
}

// As on hardware, where a load takes a microsecond.
TEST_F(MsixTest, AnAuditOfManyVectorsEndsInTimeAndTheNextGoesOn) {
  live(65);
  look_takes = TableRestorer::kGlanceFor;
  fake->set_entry(60, {0, 0, 0, 0});
  EXPECT_EQ(*msix->audit(), 0U) << "the audit checked only some vectors";
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(fake->entry(60), fake->host_message(60));
}

TEST_F(MsixTest, OneDamagedEntryHasAllOthersLookedAt) {
  live(65);
  look_takes = TableRestorer::kGlanceFor;
  fake->zero_table();
  EXPECT_EQ(*msix->audit(), 65U);
}

}  // namespace
}  // namespace passthru
