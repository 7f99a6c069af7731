// SPDX-License-Identifier: MIT
// What a removal waits for, and that a polling loop frees all removed sources.
#include <gtest/gtest.h>
#include <poll.h>

#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "tests/fakes/descriptor_limit.h"
#include "tests/unit/irq/forward/forwarder_fixture.h"

namespace passthru {
namespace {

class ForwarderRemoval : public ForwarderFixture {};
PASSTHRU_ON_BOTH_BACKENDS(ForwarderRemoval);

TEST_P(ForwarderRemoval, DoesNotReturnWhileItsSinkRuns) {
  Fd source = make_eventfd();
  std::atomic<bool> entered = false;
  std::atomic<bool> returned = false;
  std::atomic<bool> ended = false;
  const SourceId id = add_call(source, [&](uint64_t) {
    entered = true;
    // Time enough for a removal that does not wait. A slow machine never fails a correct removal.
    for (int i = 0; i < 50 && !returned; ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    ended = true;
  });
  ASSERT_TRUE(forwarder->start_thread());
  signal_eventfd(source);
  EXPECT_TRUE(eventually([&] { return entered.load(); })) << "the signal did not arrive";
  EXPECT_TRUE(forwarder->remove(id));
  const bool had_ended = ended;
  returned = true;
  EXPECT_TRUE(had_ended) << "the caller may now free what the sink uses";
  forwarder.reset();
}

// More sources than one call of run_once handles.
TEST_P(ForwarderRemoval, OfManySourcesIsDoneByALoopThatOnlyPolls) {
  constexpr unsigned kManySources = 1500;
  ASSERT_TRUE(allow_descriptors(4 * kManySources))
      << "raise the hard limit of open files (ulimit -Hn)";
  make(kManySources);
  const auto fd = forwarder->poll_fd();
  ASSERT_TRUE(fd) << fd.error().message();
  const auto loop = [&] {
    pollfd polled{.fd = *fd, .events = POLLIN, .revents = 0};
    unsigned turns = 0;
    while (::poll(&polled, 1, 0) != 0 && turns < 1000) {
      ++turns;
      run_once();
    }
    EXPECT_LT(turns, 1000U) << "no busy loop";
  };
  std::vector<Fd> sources;
  std::vector<SourceId> ids;
  for (unsigned i = 0; i < kManySources; ++i) {
    sources.push_back(make_eventfd());
    ids.push_back(add_call(sources.back(), [](uint64_t) {}));
  }
  loop();
  for (const SourceId id : ids) EXPECT_TRUE(forwarder->remove(id));
  loop();
  EXPECT_EQ(forwarder->stats().sources, 0U);
}

}  // namespace
}  // namespace passthru
