// SPDX-License-Identifier: MIT
// Tests of the path of MSI-X interrupts from a device through VFIO to a guest.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

TEST_F(MsixTest, EnablingCostsOneSetIrqsForWhatIsUnmasked) {
  open(FakeSpec::nvme());
  for (unsigned vector : {1U, 4U, 7U}) program_and_unmask(vector);
  EXPECT_EQ(set_irqs(), 0U);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  const auto calls = kernel.calls("VFIO_DEVICE_SET_IRQS");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].start, 0U);
  EXPECT_EQ(calls[0].count, 8U);
  for (unsigned vector = 0; vector < 8; ++vector) {
    const bool wanted = vector == 1 || vector == 4 || vector == 7;
    EXPECT_EQ(calls[0].eventfds[vector] >= 0, wanted) << vector;
    EXPECT_EQ(fake->bound(vector), wanted) << vector;
  }
}

TEST_F(MsixTest, TheDeviceSeesMsixEnabledAsSoonAsItsGuestEnabledIt) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  EXPECT_EQ(fake->msix_control() & (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL),
            PCI_MSIX_FLAGS_ENABLE);
  EXPECT_EQ(set_irqs(), 1U);
  EXPECT_FALSE(fake->bound(0));
  msix->write_control(0);
  EXPECT_EQ(fake->msix_control() & PCI_MSIX_FLAGS_ENABLE, 0);
}

TEST_F(MsixTest, AnInterruptReachesTheGuestWithItsOwnMessage) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  program_and_unmask(3);
  host.delivered();
  EXPECT_EQ(fake->fire(3), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(3)));
}

TEST_F(MsixTest, MovingAnInterruptCostsNoCallOfTheKernel) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  const size_t calls = set_irqs();
  for (uint32_t cpu = 0; cpu < 100; ++cpu) {
    mask(0, true);
    put32(0, 0xfee0'0000 | cpu << 12);
    mask(0, false);
  }
  EXPECT_EQ(set_irqs(), calls);
  EXPECT_EQ(host.route_updates, 99U) << "the first write did not change the message";
  fake->fire(0);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000 | 99U << 12, 0x40}));
}

TEST_F(MsixTest, MaskAndUnmaskWithoutAChangeUpdatesNoRoute) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  for (int i = 0; i < 10; ++i) {
    mask(0, true);
    mask(0, false);
  }
  EXPECT_EQ(host.route_updates, 0U);
}

TEST_F(MsixTest, DisablingGivesEverythingBack) {
  open(FakeSpec::nvme());
  const size_t fds = kernel.open_fds();
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  msix->write_control(0);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_EQ(kernel.open_fds(), fds);
  EXPECT_EQ(fake->allocated(), 0U);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_EQ(fake->fire(2), Fired::Delivered);
}

TEST_F(MsixTest, AFailureIsToldOnceUntilTheVectorWorksAgain) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program(0);
  for (int i = 0; i < 3; ++i) {
    host.fail_next("create_route", ENOSPC);
    mask(0, false);
    mask(0, true);
  }
  EXPECT_THAT(failures, ElementsAre(std::pair{0U, ENOSPC}));
  fake->fire(0);
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0))) << "latched until a route was free";
  host.fail_next("arm", EIO);
  mask(0, true);
  mask(0, false);
  EXPECT_EQ(failures.size(), 2U);
}

TEST_F(MsixTest, AnyCallThatFailsLeaksNothingAndEndsInAWorkingVector) {
  for (unsigned nth = 1; nth < 12; ++nth) {
    SCOPED_TRACE(nth);
    FakeSpec spec = FakeSpec::nvme(Bdf{.device = static_cast<uint8_t>(nth)}, nth);
    open(spec);
    const size_t fds = kernel.open_fds();
    kernel.fail("*", EIO, nth);
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    for (unsigned vector = 0; vector < 3; ++vector) program_and_unmask(vector);
    // After any failure, masking and unmasking once more must be enough.
    for (unsigned vector = 0; vector < 3; ++vector) {
      mask(vector, true);
      mask(vector, false);
    }
    host.delivered();
    for (unsigned vector = 0; vector < 3; ++vector) {
      EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
    }
    EXPECT_EQ(host.delivered().size(), 3U);
    msix->write_control(0);
    EXPECT_EQ(kernel.open_fds(), fds);
    EXPECT_EQ(host.routes(), 0U);
  }
}

}  // namespace
}  // namespace passthru
