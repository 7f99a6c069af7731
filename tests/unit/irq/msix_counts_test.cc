// SPDX-License-Identifier: MIT
// Tests of the counters of each MSI-X vector and of the audits.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using namespace std::chrono_literals;
using ::testing::HasSubstr;

TEST_F(MsixTest, MaskedTimeCountsWhileMsixIsEnabledAndTheVectorIsNotLive) {
  open(FakeSpec::nvme());
  now += 1s;  // disabled
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  now += 5ns;
  EXPECT_EQ(msix->inspect()[0].masked_ns, 5U) << "up to now";
  program_and_unmask(0);
  now += 7ns;  // live
  mask(0, true);
  now += 11ns;
  mask(0, true);  // masked already
  now += 13ns;
  mask(0, false);
  EXPECT_EQ(msix->inspect()[0].masked_ns, 29U);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  now += 100ns;
  msix->write_control(0);
  now += 1s;  // disabled
  EXPECT_EQ(msix->inspect()[0].masked_ns, 129U);
  EXPECT_EQ(msix->inspect()[1].masked_ns, 5U + 7U + 24U + 100U);
  msix->reset();
  EXPECT_EQ(msix->inspect()[0].masked_ns, 129U) << "a reset clears no count";
}

TEST_F(MsixTest, InterruptsThatTheHostCountedBeforeTheLookAreTaken) {
  live(2);
  const InterruptCounts seen{.since = std::chrono::steady_clock::now(),
                             .counts = std::vector<uint64_t>(InterruptCounts::kMaxVectors, 7)};
  EXPECT_EQ(msix->inspect()[1].interrupts, 0U)
      << "without given counts, the library reads the host's counts";
  EXPECT_EQ(msix->inspect(seen)[1].interrupts, 7U);
  EXPECT_EQ(msix->inspect()[1].interrupts, 7U) << "the kernel no longer lists a freed interrupt";
}

TEST_F(MsixTest, CountsThatTheKernelHasForgottenSinceAreNotAddedAgain) {
  live(2);
  const InterruptCounts seen{.since = std::chrono::steady_clock::now(),
                             .counts = std::vector<uint64_t>(InterruptCounts::kMaxVectors, 7)};
  msix->write_control(0);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_EQ(msix->inspect(seen)[1].interrupts, 0U);
}

TEST_F(MsixTest, LatchedCountsEachTimeThatAMaskedVectorIsFoundPending) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  for (unsigned times = 1; times <= 2; ++times) {
    mask(0, true);
    fake->fire(0);
    EXPECT_EQ(pending_bits(), 1U);
    fake->fire(0);  // already pending
    mask(0, false);
    EXPECT_EQ(msix->inspect()[0].latched, times);
  }
  fake->fire(0);
  EXPECT_EQ(msix->inspect()[0].latched, 2U) << "a live vector does not latch";
}

TEST_F(MsixTest, RebindsCountEachReissueOfABoundVector) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  EXPECT_EQ(msix->inspect()[0].rebinds, 0U);
  program_and_unmask(1);
  EXPECT_EQ(msix->inspect()[0].rebinds, 1U) << "growing disabled and enabled the index";
  EXPECT_EQ(msix->inspect()[1].rebinds, 0U);
  fake->set_entry(1, {0, 0, 0, 0});
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(msix->inspect()[1].rebinds, 1U);
  host.delivered();
  fake->backdoor_reset();
  EXPECT_EQ(*msix->audit(), 2U);
  EXPECT_EQ(msix->inspect()[0].rebinds, 2U);
  EXPECT_EQ(msix->inspect()[1].rebinds, 2U);
}

TEST_F(MsixTest, DamagesCountTheLooksThatFoundSome) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  ASSERT_TRUE(msix->audit());
  EXPECT_EQ(msix->counters().damages, 0U);
  fake->backdoor_reset();
  kernel.fail("VFIO_DEVICE_SET_IRQS", ENOMEM, 2);
  EXPECT_FALSE(msix->audit());
  EXPECT_EQ(msix->counters().damages, 1U);
  ASSERT_TRUE(msix->audit());
  EXPECT_EQ(msix->counters().damages, 2U) << "it was still damaged";
  ASSERT_TRUE(msix->audit());
  EXPECT_EQ(msix->counters().damages, 2U);
}

TEST_F(MsixTest, TheLastErrorOfAVectorIsKept) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  host.fail_next("create_route", ENOSPC);
  program_and_unmask(0);
  EXPECT_THAT(msix->inspect()[0].last_error, HasSubstr("create_route"));
  EXPECT_EQ(msix->inspect()[1].last_error, "");
  mask(0, true);
  mask(0, false);
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  EXPECT_THAT(msix->inspect()[0].last_error, HasSubstr("create_route"))
      << "the last error stays after a success";
}

}  // namespace
}  // namespace passthru
