// SPDX-License-Identifier: MIT
// Moderation: the rate of deliveries stays below the limit, and the last signal is never lost.
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

#include "irq/forward/forwarder.h"
#include "tests/unit/irq/forward/forwarder_fixture.h"

namespace passthru {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

class ForwarderModeration : public ForwarderFixture {
 protected:
  /// Runs until nothing arrives for `quiet`.
  void run_until_quiet(milliseconds quiet) {
    for (auto last = Clock::now(); Clock::now() - last < quiet;) {
      if (run_once() != 0) last = Clock::now();
      std::this_thread::sleep_for(milliseconds(1));
    }
  }
  Fd source = make_eventfd();
};
PASSTHRU_ON_BOTH_BACKENDS(ForwarderModeration);

TEST_P(ForwarderModeration, WhatComesTooSoonBecomesOneDeliveryLater) {
  drive();
  std::vector<Clock::time_point> calls;
  const SourceId id =
      add_call(source, [&](uint64_t) { calls.push_back(Clock::now()); }, {.max_per_second = 2});
  run_once();
  for (int i = 0; i < 5; ++i) {
    signal_eventfd(source);
    run_once();
  }
  EXPECT_EQ(calls.size(), 1U);
  run_until_quiet(milliseconds(700));
  ASSERT_EQ(calls.size(), 2U) << "the last signal is delivered, once";
  EXPECT_GE(calls[1] - calls[0], milliseconds(499));
  EXPECT_EQ(forwarder->stats(id)->held, 4U);
}

TEST_P(ForwarderModeration, AnotherSourceIsNotHeldUp) {
  drive();
  const Fd other = make_eventfd();
  const Fd sink = make_eventfd();
  add(source, make_eventfd(), {.max_per_second = 1});
  add(other, sink);
  run_once();
  for (int i = 0; i < 10; ++i) {
    signal_eventfd(source);
    signal_eventfd(other);
    run_once();
  }
  EXPECT_EQ(drain_eventfd(sink), 10U);
}

TEST_P(ForwarderModeration, ARemovedSourceIsNotDeliveredWhenItsTimeComes) {
  drive();
  int calls = 0;
  const SourceId id = add_call(source, [&](uint64_t) { ++calls; }, {.max_per_second = 2});
  run_once();
  signal_eventfd(source);
  run_once();
  signal_eventfd(source);
  run_once();
  forwarder->remove(id);
  run_until_quiet(milliseconds(700));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(drain_eventfd(source), 2U) << "held signals stay in the counter";
}

TEST_P(ForwarderModeration, AStormOnAThreadKeepsTheRateAndEndsWithADelivery) {
  std::atomic<unsigned> calls = 0;
  std::atomic<bool> last_seen = false;
  std::atomic<bool> last_sent = false;
  add_call(source,
           [&](uint64_t) {
             ++calls;
             if (last_sent) last_seen = true;
           },
           {.max_per_second = 1000});
  ASSERT_TRUE(forwarder->start_thread());
  const auto begin = Clock::now();
  while (Clock::now() - begin < milliseconds(200)) signal_eventfd(source);
  last_sent = true;
  signal_eventfd(source);
  EXPECT_TRUE(eventually([&] { return last_seen.load(); }));
  const auto took = Clock::now() - begin;
  EXPECT_LE(calls, took / milliseconds(1) + 2);
  EXPECT_GE(calls, 2U);
  forwarder.reset();  // before the objects that its sink uses
}

}  // namespace
}  // namespace passthru
