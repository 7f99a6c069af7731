// SPDX-License-Identifier: MIT
// Tests of vectors that the guest's driver frees. Their host interrupts and routes are freed, and
// other vectors keep theirs. The driver can use the vectors again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MsixLetGo : public MsixTest {
 protected:
  /// Frees a vector as Linux does: masks it, then writes an empty message.
  void free_vector(unsigned vector) {
    mask(vector, true);
    for (unsigned word = 0; word < 3; ++word) put32(vector * 16 + 4 * word, 0);
  }
};

TEST_F(MsixLetGo, ItsInterruptAndItsRouteAreFreedAndNoOthers) {
  live(4);
  kernel.forget_calls();
  free_vector(2);
  EXPECT_FALSE(fake->bound(2));
  EXPECT_EQ(host.routes(), 3U);
  const auto calls = kernel.calls("VFIO_DEVICE_SET_IRQS");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].start, 2U);
  EXPECT_THAT(calls[0].eventfds, ElementsAre(-1));
  EXPECT_EQ(fake->fire(3), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(3)));
}

TEST_F(MsixLetGo, AMaskAloneLetsNothingGo) {
  live(2);
  kernel.forget_calls();
  mask(1, true);
  put32(16, static_cast<uint32_t>(message_of(1).address) | 0x1000);  // another CPU
  EXPECT_TRUE(fake->bound(1));
  EXPECT_EQ(set_irqs(), 0U);
}

TEST_F(MsixLetGo, TheNextDriverHasItAgainAndNobodyIsDisturbed) {
  for (const bool noresize : {true, false}) {
    SCOPED_TRACE(noresize);
    FakeSpec spec = FakeSpec::nvme({0, 0, static_cast<uint8_t>(noresize ? 4 : 5), 0}, noresize);
    spec.msix.noresize = noresize;
    live(4, spec);
    free_vector(2);
    kernel.forget_calls();
    program_and_unmask(2);
    EXPECT_EQ(set_irqs(), 1U);
    EXPECT_TRUE(fake->bound(2));
    EXPECT_THAT(host.delivered(), IsEmpty());
    EXPECT_EQ(fake->fire(2), Fired::Delivered);
    EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
    msix.reset();
    device.reset();
  }
}

TEST_F(MsixLetGo, WhatFiredBeforeIsPendingStill) {
  live(2);
  mask(1, true);
  fake->fire(1);
  free_vector(1);
  EXPECT_EQ(pending_bits(), 2U);
  program_and_unmask(1);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1))) << "delivered once";
}

TEST_F(MsixLetGo, OneThatCannotBeHadIsToldOnceHoweverOftenTheGuestTries) {
  live(1);
  const auto try_again = [&] {
    msix->write_control(0);
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  };
  for (int round = 0; round < 3; ++round) {
    kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 2);
    try_again();
  }
  EXPECT_THAT(failures, ElementsAre(std::pair{0U, EIO}));
  try_again();
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 2);
  try_again();
  EXPECT_EQ(failures.size(), 2U)
      << "the vector had worked meanwhile, so the failure is reported again";
}

TEST_F(MsixLetGo, OneThatTheKernelKeepsIsBoundAsBefore) {
  live(2);
  kernel.fail("VFIO_DEVICE_SET_IRQS", EIO);
  free_vector(1);
  EXPECT_THAT(failures, ElementsAre(std::pair{1U, EIO}));
  EXPECT_EQ(host.routes(), 1U) << "the next write of the cleared entry frees it";
  program_and_unmask(1);
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
}

}  // namespace
}  // namespace passthru
