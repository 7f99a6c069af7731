// SPDX-License-Identifier: MIT
// Tests of the delivered counts of MSI-X: they match the guest's count on every delivery path, and
// the counts of vectors add up.
#include <gtest/gtest.h>

#include <chrono>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

/// Returns counts as if the host had counted `each` interrupts of every vector until now.
InterruptCounts host_counts(uint64_t each) {
  return {.since = std::chrono::steady_clock::now(),
          .counts = std::vector<uint64_t>(InterruptCounts::kMaxVectors, each)};
}

class Delivered : public MsixTest {
 protected:
  uint64_t of(unsigned vector) { return msix->inspect()[vector].delivered; }
  uint64_t sum() { return msix->delivered({}); }
};

TEST_F(Delivered, ByAnIrqfdAreThoseThatTheHostHasCounted) {
  live(1);
  EXPECT_EQ(msix->inspect(host_counts(7))[0].delivered, 7U);
  EXPECT_EQ(msix->delivered(host_counts(7)), 7U * 65);
  msix->write_control(0);
  EXPECT_EQ(sum(), 7U * 65) << "disabling MSI-X keeps the counts";
}

TEST_F(Delivered, TheSignalsThatARestoreAddsAreCounted) {
  live(2);
  const uint64_t before = of(1);
  fake->set_entry(1, {0, 0, 0, 0});
  ASSERT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(host.delivered().size(), 1U);
  EXPECT_EQ(of(1), before + 1);
}

TEST_F(Delivered, TheSignalsThatGrowthAddsAreCounted) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  host.delivered();
  const uint64_t before = of(0);
  program_and_unmask(1);
  EXPECT_EQ(host.delivered().size(), 1U) << "growing disabled and enabled the index";
  EXPECT_EQ(of(0), before + 1);
  EXPECT_EQ(of(1), 0U);
}

// If the table is hidden, an unmask adds a signal for an interrupt that may be lost.
TEST_F(Delivered, TheSignalThatAnUnmaskAddsIsCounted) {
  FakeSpec unseen = FakeSpec::nvme();
  unseen.msix.mappable = false;
  live(2, unseen);
  const uint64_t before = of(1);
  mask(1, true);
  mask(1, false);
  EXPECT_EQ(host.delivered().size(), 1U);
  EXPECT_EQ(of(1), before + 1);
}

TEST_F(Delivered, ATriggeredVectorIsCounted) {
  live(2);
  const uint64_t before = of(1);
  ASSERT_TRUE(msix->trigger(1));
  EXPECT_EQ(host.delivered().size(), 1U);
  EXPECT_EQ(of(1), before + 1);
  EXPECT_FALSE(msix->trigger(99));
}

TEST_F(Delivered, ByTheForwarderAreItsMessagesToTheLast) {
  host.by_message = true;
  auto made = Forwarder::make(64);
  ASSERT_TRUE(made);
  Forwarder* const forwarder = made->get();
  ASSERT_TRUE(forwarder->bind_to_this_thread());
  ASSERT_TRUE(router.adopt(std::move(*made)));
  live(2);
  const auto deliver = [&] {
    EXPECT_TRUE(forwarder->run_once());
    return host.delivered().size();
  };
  deliver();  // the signals that enabling added
  uint64_t messages = of(0) + of(1);
  for (int round = 0; round < 5; ++round) {
    fake->fire(0);
    fake->fire(0);  // merged into one message
    EXPECT_EQ(deliver(), 1U);
    ++messages;
    mask(0, true);
    fake->fire(0);
    mask(0, false);
    EXPECT_EQ(deliver(), 1U) << "the pending interrupt";
    ++messages;
  }
  EXPECT_EQ(of(0) + of(1), messages);
  EXPECT_EQ(sum(), messages);
  host.fail_next("signal_msi", EIO);
  fake->fire(0);
  EXPECT_EQ(deliver(), 0U);
  EXPECT_EQ(sum(), messages) << "the VMM refused the message";
  msix->write_control(0);
  EXPECT_EQ(sum(), messages) << "disabling MSI-X keeps the counts";
}

TEST_F(Delivered, RestoresAndRearmsOfVectorsAddUp) {
  live(3);
  fake->set_entry(1, {0, 0, 0, 0});
  ASSERT_EQ(*msix->audit(), 1U);
  host.delivered();
  fake->fire(2);
  ASSERT_EQ(*msix->audit(), 0U);
  now += Delivery::kUnreadFor;
  ASSERT_EQ(*msix->audit(), 1U);
  fake->backdoor_reset();
  ASSERT_EQ(*msix->audit(), 3U);
  uint64_t restores = 0;
  uint64_t rearms = 0;
  for (const VectorState& vector : msix->inspect()) {
    restores += vector.restores;
    rearms += vector.rearms;
  }
  EXPECT_EQ(restores, 4U);
  EXPECT_EQ(rearms, 1U);
  EXPECT_EQ(msix->counters().restores, restores);
  EXPECT_EQ(msix->counters().rearms, rearms);
}

}  // namespace
}  // namespace passthru
