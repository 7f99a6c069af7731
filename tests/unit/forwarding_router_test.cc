// SPDX-License-Identifier: MIT
// Owns the checks of vectors that pass through the forwarder: for a VMM without irqfd from the
// start, for any other while somebody watches, switched while they fire.
#include "irq/forwarding_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <thread>

#include "tests/unit/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

/// MSI-X with four vectors live, and a forwarder that the test's own thread drives.
class ForwardedMsix : public MsixTest {
 protected:
  void live(bool by_message, uint32_t rate = 0) {
    host.by_message = by_message;
    most_per_second = rate;
    auto made = Forwarder::make(64);
    ASSERT_TRUE(made);
    forwarder = made->get();
    ASSERT_TRUE(forwarder->fd_to_poll());
    ASSERT_TRUE(router.use(std::move(*made)));
    open(FakeSpec::nvme());
    msix->write_control(kMsixEnable);
    for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
    delivered();
  }
  std::vector<MsiMessage> delivered() {
    EXPECT_TRUE(forwarder->run_once());
    return host.delivered();
  }
  VectorState state(unsigned vector) { return msix->inspect()[vector]; }

  Forwarder* forwarder = nullptr;
};

TEST_F(ForwardedMsix, WithoutIrqfdEachInterruptIsAMessageAndNoRouteIsMade) {
  live(true);
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder);
  EXPECT_EQ(state(2).forwarded->delivered, 1U);
  fake->fire(1);
  fake->fire(2);
  EXPECT_THAT(delivered(), testing::UnorderedElementsAre(message_of(1), message_of(2)));
}

TEST_F(ForwardedMsix, AMessageThatChangesCostsNoSetIrqsAndTheNextInterruptHasIt) {
  live(true);
  const auto calls = msix->set_irqs_calls();
  put32(2 * 16 + 8, 0x99);
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(MsiMessage{message_of(2).address, 0x99}));
  EXPECT_EQ(msix->set_irqs_calls(), calls);
}

TEST_F(ForwardedMsix, WhatFiresWhileItIsMaskedIsDeliveredOnceItIsNot) {
  live(true);
  mask(2, true);
  fake->fire(2);
  EXPECT_THAT(delivered(), IsEmpty());
  mask(2, false);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
}

TEST_F(ForwardedMsix, WhatWasDeliveredBeforeAMaskMayComeOnceMoreAndIsCounted) {
  live(true);
  fake->fire(2);
  EXPECT_THAT(delivered(), SizeIs(1));
  mask(2, true);
  mask(2, false);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(state(2).repeated, 1U);
  EXPECT_EQ(state(2).latched, 0U) << "nothing fired while it was masked";
}

TEST_F(ForwardedMsix, AVectorIsWatchedAndLeftAloneAgainWithoutLosingAnInterrupt) {
  live(false);
  EXPECT_EQ(state(2).owner, EventfdOwner::Irqfd);
  const auto calls = msix->set_irqs_calls();
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));

  msix->watch(2, 77);
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder);
  EXPECT_THAT(delivered(), IsEmpty()) << "the irqfd had taken it";
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  const auto trace = router.trace();
  ASSERT_THAT(trace, SizeIs(1));
  EXPECT_EQ(trace[0].label, 77U);
  EXPECT_EQ(state(2).forwarded->delivered, 1U);

  msix->watch(2, std::nullopt);
  EXPECT_EQ(state(2).owner, EventfdOwner::Irqfd);
  EXPECT_EQ(state(2).forwarded->delivered, 1U) << "what was counted stays";
  EXPECT_FALSE(state(1).forwarded);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2))) << "it may have been delivered: once more";
  EXPECT_EQ(state(2).repeated, 1U);
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(msix->set_irqs_calls(), calls);
}

TEST_F(ForwardedMsix, AMaskedVectorThatIsWatchedIsForwardedWhenItGoesLive) {
  live(false);
  mask(2, true);
  msix->watch(2, 5);
  EXPECT_EQ(state(2).owner, EventfdOwner::Latch);
  mask(2, false);
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder);
  msix->reset();
  msix->write_control(kMsixEnable);
  program_and_unmask(2);
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder) << "also after a reset";
  msix->watch(99, 5);  // it has fewer: nothing happens
}

TEST_F(ForwardedMsix, ARateThatIsLimitedIsKeptAndTheLastInterruptIsDelivered) {
  live(false, 2);
  for (int i = 0; i < 5; ++i) {
    fake->fire(2);
    EXPECT_THAT(delivered(), SizeIs(i == 0 ? 1 : 0));
  }
  EXPECT_EQ(state(2).forwarded->held, 4U);
  std::this_thread::sleep_for(std::chrono::milliseconds(550));
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder) << "though the VMM has irqfds";
}

TEST_F(ForwardedMsix, AVectorThatCannotBeForwardedIsLatchedAndTold) {
  live(false);
  std::vector<Fd> sources;
  while (forwarder->stats().sources < 64) {
    sources.push_back(Fd(*kernel.make_eventfd()));
    ASSERT_TRUE(forwarder->add(sources.back().get(), {.call = [](uint64_t) {}}));
  }
  msix->watch(2, 5);
  EXPECT_THAT(failures, ElementsAre(std::pair(2U, ENOSPC)));
  failures.clear();
  EXPECT_EQ(state(2).owner, EventfdOwner::Latch);
  EXPECT_THAT(state(2).last_error, testing::HasSubstr("made for 64 sources"));
  fake->fire(2);
  msix->watch(2, std::nullopt);
  mask(2, false);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
}

TEST_F(ForwardedMsix, IsSwitchedUnderLoadAndTheLastInterruptOfEachVectorArrives) {
  ASSERT_TRUE(router.forwarder()) << "one with a thread of its own";
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  host.delivered();
  for (int round = 0; round < 50; ++round) {
    std::thread hardware([&] {
      for (int i = 0; i < 200; ++i) fake->fire(static_cast<unsigned>(i % 4));
    });
    for (unsigned i = 0; i < 20; ++i) {
      msix->watch(i % 4, i % 8 < 4 ? std::optional<uint64_t>(i) : std::nullopt);
    }
    hardware.join();
    std::set<uint32_t> seen;
    // What the fake VMM's irqfds have not taken yet is among it: all four have fired since.
    for (int left = 5000; left > 0 && seen.size() < 4; --left) {
      for (const MsiMessage& message : host.delivered()) seen.insert(message.data);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ASSERT_THAT(seen, SizeIs(4)) << round;
  }
}

}  // namespace
}  // namespace passthru
