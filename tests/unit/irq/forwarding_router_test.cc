// SPDX-License-Identifier: MIT
// Tests of vectors that pass through the forwarder: always for a VMM without irqfds, otherwise
// while a client watches them. The path changes while they fire.
#include "irq/forwarding_router.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <optional>
#include <thread>

#include "tests/fakes/eventually.h"
#include "tests/unit/irq/msix_fixture.h"

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
    max_per_second = rate;
    auto made = Forwarder::make(64);
    ASSERT_TRUE(made);
    forwarder = made->get();
    ASSERT_TRUE(forwarder->bind_to_this_thread());
    ASSERT_TRUE(router.adopt(std::move(*made)));
    open(FakeSpec::nvme());
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
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
  const auto calls = msix->counters().set_irqs_calls;
  put32(2 * 16 + 8, 0x99);
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(MsiMessage{message_of(2).address, 0x99}));
  EXPECT_EQ(msix->counters().set_irqs_calls, calls);
}

TEST_F(ForwardedMsix, WhatFiresWhileItIsMaskedIsDeliveredOnceItIsNot) {
  live(true);
  mask(2, true);
  fake->fire(2);
  EXPECT_THAT(delivered(), IsEmpty());
  mask(2, false);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
}

// A driver may mask its vector in the handler and unmask it later: the interrupt is delivered once.
TEST_F(ForwardedMsix, WhatWasDeliveredIsNotPendingAndDoesNotComeAgain) {
  live(true);
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  for (int round = 0; round < 10; ++round) {
    mask(2, true);
    EXPECT_EQ(pending_bits(), 0U);
    mask(2, false);
    EXPECT_THAT(delivered(), IsEmpty()) << round;
  }
}

TEST_F(ForwardedMsix, AVectorIsWatchedAndLeftAloneAgainWithoutLosingAnInterrupt) {
  live(false);
  EXPECT_EQ(state(2).owner, EventfdOwner::Irqfd);
  const auto calls = msix->counters().set_irqs_calls;
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));

  ASSERT_TRUE(msix->watch(2, 77));
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder);
  EXPECT_THAT(delivered(), IsEmpty()) << "the irqfd delivered it already";
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  const auto trace = router.trace();
  ASSERT_THAT(trace, SizeIs(1));
  EXPECT_EQ(trace[0].label, 77U);
  EXPECT_EQ(state(2).forwarded->delivered, 1U);

  ASSERT_TRUE(msix->watch(2, std::nullopt));
  EXPECT_EQ(state(2).owner, EventfdOwner::Irqfd);
  EXPECT_EQ(state(2).forwarded->delivered, 1U) << "the count stays";
  EXPECT_FALSE(state(1).forwarded);
  EXPECT_THAT(delivered(), IsEmpty()) << "the interrupt was delivered already";
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  EXPECT_EQ(msix->counters().set_irqs_calls, calls);
}

TEST_F(ForwardedMsix, AMaskedVectorThatIsWatchedIsForwardedWhenItGoesLive) {
  live(false);
  mask(2, true);
  ASSERT_TRUE(msix->watch(2, 5));
  EXPECT_EQ(state(2).owner, EventfdOwner::Latch);
  mask(2, false);
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder);
  msix->reset();
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(2);
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder) << "a reset keeps the watch";
  ASSERT_TRUE(msix->watch(99, 5));  // the device has fewer vectors: no effect
}

TEST_F(ForwardedMsix, ARateThatIsLimitedIsKeptAndTheLastInterruptIsDelivered) {
  constexpr auto kGap = std::chrono::milliseconds(500);
  live(false, 2);
  std::chrono::steady_clock::time_point begin;
  std::vector<MsiMessage> sent;
  const auto take = [&] {
    const auto came = delivered();
    sent.insert(sent.end(), came.begin(), came.end());
    return !came.empty();
  };
  // If the machine stalls that long after each interrupt, the limit holds back no interrupt; then
  // the loop fires again.
  ASSERT_TRUE(eventually([&] {
    begin = std::chrono::steady_clock::now();
    sent.clear();
    for (int i = 0; i < 5; ++i) {
      fake->fire(2);
      take();
    }
    return state(2).forwarded->held != 0;
  })) << "no interrupt was held back";
  EXPECT_TRUE(eventually(take)) << "the held interrupt was not delivered";
  const auto took = std::chrono::steady_clock::now() - begin;
  EXPECT_LE(sent.size(), static_cast<size_t>(took / kGap) + 1);
  EXPECT_THAT(sent, testing::Each(message_of(2)));
  EXPECT_EQ(state(2).owner, EventfdOwner::Forwarder) << "even if the VMM has irqfds";
}

TEST_F(ForwardedMsix, AVectorThatCannotBeForwardedGoesOnAsItDid) {
  live(false);
  std::vector<Fd> sources;
  while (forwarder->stats().sources < 64) {
    sources.push_back(Fd(*kernel.make_eventfd()));
    ASSERT_TRUE(forwarder->add(sources.back().get(), {.call = [](uint64_t) {}}));
  }
  auto done = msix->watch(2, 5);
  ASSERT_FALSE(done);
  EXPECT_EQ(done.error().code, ENOSPC);
  EXPECT_EQ(state(2).owner, EventfdOwner::Irqfd);
  EXPECT_THAT(failures, IsEmpty());
  fake->fire(2);
  EXPECT_THAT(delivered(), ElementsAre(message_of(2)));
  host.fail_next("arm", EIO);
  EXPECT_FALSE(msix->watch(2, 5));
  EXPECT_THAT(failures, ElementsAre(std::pair(2U, EIO))) << "both paths fail";
  EXPECT_EQ(state(2).owner, EventfdOwner::Latch);
}

TEST_F(ForwardedMsix, MessagesThatTheVmmRefusesAreCountedOnce) {
  live(true);
  host.fail_next("signal_msi", EIO);
  fake->fire(2);
  EXPECT_THAT(delivered(), IsEmpty());
  for (int round = 0; round < 3; ++round) {
    mask(2, true);
    mask(2, false);
  }
  EXPECT_EQ(state(2).forwarded->sink_failed, 1U);
}

TEST_F(ForwardedMsix, ASignalThatComesDuringASwitchArrives) {
  ASSERT_TRUE(router.forwarder()) << "a forwarder with its own thread";
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(2);
  host.delivered();
  for (uint64_t round = 0; round < 500; ++round) {
    std::thread hardware([&] { fake->fire(2); });
    const bool on = round % 2 == 0;
    ASSERT_TRUE(msix->watch(2, on ? std::optional(round) : std::nullopt));
    hardware.join();
    std::vector<MsiMessage> came;
    ASSERT_TRUE(eventually([&] {
      came = host.delivered();
      return !came.empty();
    }));
    ASSERT_THAT(came, ElementsAre(message_of(2))) << round;
  }
  EXPECT_THAT(host.delivered(), IsEmpty());
}

// A guest that masks its vector in the handler and unmasks it afterwards (IRQF_ONESHOT).
TEST_F(ForwardedMsix, ALimitHoldsForAGuestThatMasksAtEachInterrupt) {
  live(true, 1);  // one per second
  const auto start = std::chrono::steady_clock::now();
  size_t count = 0;
  for (int i = 0; i < 100; ++i) {
    fake->fire(2);
    count += delivered().size();
    mask(2, true);
    mask(2, false);
  }
  const auto seconds =
      std::chrono::ceil<std::chrono::seconds>(std::chrono::steady_clock::now() - start);
  EXPECT_GE(count, 1U);
  EXPECT_LE(count, static_cast<size_t>(seconds.count()) + 1);
  EXPECT_TRUE(eventually([&] {
    count += delivered().size();
    return count >= 2;
  })) << "an interrupt within the interval is delivered later";
}

}  // namespace
}  // namespace passthru
