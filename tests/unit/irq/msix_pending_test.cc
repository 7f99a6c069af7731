// SPDX-License-Identifier: MIT
// Tests of MSI-X vectors that fire while masked: the pending bits, and a single delivery later.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string_view>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(MsixTest, AVectorMaskedWhileItFiresIsDeliveredOnceOnUnmask) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  mask(0, true);
  EXPECT_EQ(pending_bits(), 0U);
  fake->fire(0);
  fake->fire(0);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(pending_bits(), 1U);
  EXPECT_EQ(pending_bits(), 1U) << "reading the bits does not clear them";
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(pending_bits(), 0U);
  mask(0, true);
  mask(0, false);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(MsixTest, TheDevicesOwnPendingBitIsThatOfTheVector) {
  live(65);
  for (const unsigned vector : {63U, 64U}) {
    PhysicalEntry masked = fake->entry(vector);
    masked.control = MsixEntry::kMasked;
    fake->set_entry(vector, masked);
    ASSERT_EQ(fake->fire(vector), Fired::Pending);
    const auto states = msix->inspect();
    for (const VectorState& state : states) {
      EXPECT_EQ(state.device_pending, state.index >= 63 && state.index <= vector) << state.index;
    }
  }
}

TEST_F(MsixTest, TheFunctionMaskHoldsEveryVectorBack) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  program_and_unmask(1);
  host.delivered();
  msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  const size_t calls = set_irqs();
  fake->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(pending_bits(), 2U);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(set_irqs(), calls);
}

TEST_F(MsixTest, AVectorThatNobodyUnmaskedShowsTheDevicesOwnPendingBit) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(3);
  ASSERT_EQ(fake->fire(2), Fired::Pending);
  EXPECT_EQ(pending_bits(), 4U);
  program_and_unmask(2);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
}

TEST_F(MsixTest, WhatIsPendingWhenMsixIsTurnedOffIsDeliveredAfterItIsTurnedOn) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  mask(0, true);
  fake->fire(0);
  msix->write_control(0);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_EQ(pending_bits() & 1, 1U);
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
}

TEST_F(MsixTest, WhatFiresWhileMsixIsBeingTurnedOffIsPendingToo) {
  live(2);
  unsigned gone = 0;
  host.on_destroy_route = [&] {
    if (++gone == 2) fake->fire(0);  // vector 0 is disarmed, but its index is still enabled
  };
  msix->write_control(0);
  host.on_destroy_route = nullptr;
  ASSERT_EQ(gone, 2U);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0))) << "once";
}

TEST_F(MsixTest, WhatFiresJustBeforeItsIndexIsDisabledIsPendingToo) {
  live(1);
  kernel.hook.set([&](std::string_view call, bool after) {
    if (call == "disable VFIO_DEVICE_SET_IRQS" && !after) {
      EXPECT_EQ(fake->fire(0), Fired::Delivered);
    }
  });
  msix->write_control(0);
  kernel.hook.set({});
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0))) << "once";
}

TEST_F(MsixTest, ResetForgetsEverythingThatWasPending) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  mask(0, true);
  fake->fire(0);
  msix->reset();
  EXPECT_FALSE(msix->enabled());
  EXPECT_EQ(pending_bits() & 1, 0U);
  EXPECT_EQ(host.routes(), 0U);
}

TEST_F(MsixTest, PendingBitsBeyondTheLastVectorAreZeroAndBeyondTheirEndOnes) {
  open(FakeSpec::nvme());
  EXPECT_EQ(pending_bits(1), 0U);
  EXPECT_EQ(pending_bits(2), ~uint64_t{0});
  const uint32_t ones = ~uint32_t{0};
  pba->write(0, std::as_bytes(std::span{&ones, 1}));
  EXPECT_EQ(pending_bits(0), 0U) << "the PBA is read-only";
}

}  // namespace
}  // namespace passthru
