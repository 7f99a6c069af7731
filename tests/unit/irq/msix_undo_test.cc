// SPDX-License-Identifier: MIT
// Tests of failed calls and of devices that do not answer: they leave no half-changed state.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class MsixUndo : public MsixTest {};

TEST_F(MsixUndo, OfTwoRunsOfVectorsTheSecondFailsAndNeitherIsBound) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  live(1, spec);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  program_and_unmask(2);
  program_and_unmask(5);
  fake->refuse(5, EIO);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_THAT(failures, UnorderedElementsAre(std::pair{2U, EIO}, std::pair{5U, EIO}));
  EXPECT_FALSE(fake->bound(2)) << "the library treats the vector as unbound";
  EXPECT_FALSE(fake->bound(5));
  EXPECT_TRUE(fake->bound(0));
  fake->refuse(5, 0);
  for (const unsigned vector : {2U, 5U}) {
    mask(vector, true);
    mask(vector, false);
    EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
  }
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(2), message_of(5)));
}

// The kernel reports how many vectors the host has; they are enough.
TEST_F(MsixUndo, GrowthToMoreThanTheHostHasCostsOneCallMore) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.available = 3;
  live(2, spec);
  kernel.forget_calls();
  program_and_unmask(2);
  EXPECT_EQ(set_irqs(), 3U) << "disabled, four refused, three enabled";
  EXPECT_THAT(failures, IsEmpty());
  EXPECT_EQ(fake->fire(2), Fired::Delivered);
}

TEST_F(MsixUndo, ADeviceThatDoesNotAnswerHasNothingPending) {
  live(1);
  fake->set_gone(true);
  EXPECT_EQ(pending_bits(), 0U);
  EXPECT_FALSE(msix->inspect()[0].device_pending);
}

TEST_F(MsixUndo, ADeviceThatDoesNotAnswerKeepsItsInterrupts) {
  live(2);
  fake->set_gone(true);
  kernel.forget_calls();
  EXPECT_FALSE(msix->control_in_device());
  const auto audit = msix->audit();
  ASSERT_FALSE(audit);
  EXPECT_EQ(audit.error().code, ENODEV);
  EXPECT_EQ(set_irqs(), 0U) << "reading all ones does not count as a lost Enable bit";
  fake->set_gone(false);
  EXPECT_EQ(*msix->audit(), 0U);
}

TEST_F(MsixUndo, AnEntryWhoseLoadFaultsReadsAsAllOnes) {
  live(1);
  fake->set_faulting(true);
  EXPECT_EQ(msix->inspect()[0].in_device, (MsixEntry{~0U, ~0U, ~0U, ~0U}));
  fake->set_faulting(false);
  EXPECT_NE(msix->inspect()[0].in_device, (MsixEntry{~0U, ~0U, ~0U, ~0U}));
}

}  // namespace
}  // namespace passthru
