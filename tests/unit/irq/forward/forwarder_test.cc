// SPDX-License-Identifier: MIT
// The forwarder's deliveries, on io_uring and on epoll: every signal arrives, none arrives after a
// removal, and the counter is not changed.
#include "irq/forward/forwarder.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "tests/fakes/descriptor_limit.h"
#include "tests/unit/irq/forward/forwarder_fixture.h"

namespace passthru {
namespace {

using ::testing::Each;
using ::testing::HasSubstr;

class ForwarderTest : public ForwarderFixture {
 protected:
  Fd source = make_eventfd();
  Fd sink = make_eventfd();
};
PASSTHRU_ON_BOTH_BACKENDS(ForwarderTest);

TEST_P(ForwarderTest, ASignalReachesTheSinkAndStaysInTheSource) {
  drive();
  add(source, sink);
  run_once();
  EXPECT_EQ(drain_eventfd(sink), 0U);
  signal_eventfd(source);
  EXPECT_EQ(run_once(), 1U);
  EXPECT_EQ(drain_eventfd(sink), 1U);
  EXPECT_EQ(run_once(), 0U) << "an edge fires once";
  EXPECT_EQ(drain_eventfd(source), 1U);
}

TEST_P(ForwarderTest, EachSignalFiresThoughNobodyReadsTheSource) {
  drive();
  const SourceId id = add(source, sink);
  run_once();
  for (int i = 0; i < 100; ++i) {
    signal_eventfd(source);
    ASSERT_EQ(run_once(), 1U) << i;
  }
  EXPECT_EQ(drain_eventfd(sink), 100U);
  EXPECT_EQ(forwarder->stats(id)->delivered, 100U);
}

TEST_P(ForwarderTest, ASourceThatIsReadableAlreadyFiresOnce) {
  signal_eventfd(source, 5);
  add(source, sink);
  drive();
  run_once();
  EXPECT_EQ(drain_eventfd(sink), 1U);
}

TEST_P(ForwarderTest, ACountedSourceIsReadAndItsNumberPassedOn) {
  drive();
  uint64_t counted = 0;
  add_call(source, [&](uint64_t count) { counted += count; }, {.kind = SourceKind::Counted});
  run_once();
  signal_eventfd(source, 3);
  signal_eventfd(source, 4);
  run_once();
  EXPECT_EQ(counted, 7U);
  EXPECT_EQ(drain_eventfd(source), 0U);
}

TEST_P(ForwarderTest, ACountedSourceThatSomebodyDrainedDeliversNothingAndDoesNotBlock) {
  drive();
  for (const int flags : {+EFD_NONBLOCK, 0}) {
    Fd counted = make_eventfd(flags);
    add(counted, sink, {.kind = SourceKind::Counted});
    run_once();
    signal_eventfd(counted);
    drain_eventfd(counted);
    run_once();
    EXPECT_EQ(drain_eventfd(sink), 0U);
    signal_eventfd(counted);
    run_once();
    EXPECT_EQ(drain_eventfd(sink), 1U);
  }
}

TEST_P(ForwarderTest, NothingIsDeliveredAfterARemovalAndTheCounterSaysWhatWasMissed) {
  drive();
  const SourceId id = add(source, sink);
  run_once();
  signal_eventfd(source);
  EXPECT_TRUE(forwarder->remove(id));
  EXPECT_EQ(run_once(), 0U);
  signal_eventfd(source);
  EXPECT_EQ(run_once(), 0U);
  EXPECT_EQ(drain_eventfd(sink), 0U);
  EXPECT_EQ(drain_eventfd(source), 2U);
  EXPECT_FALSE(forwarder->remove(id)) << "it is removed";
  EXPECT_FALSE(forwarder->stats(id));
  EXPECT_FALSE(forwarder->observe(id, true));
  EXPECT_EQ(forwarder->stats().sources, 0U);
}

TEST_P(ForwarderTest, ARemovedSourceMayComeAgain) {
  drive();
  for (int i = 0; i < 1000; ++i) {
    const SourceId id = add(source, sink);
    run_once();
    signal_eventfd(source);
    run_once();
    ASSERT_GE(drain_eventfd(sink), 1U) << i;
    ASSERT_TRUE(forwarder->remove(id));
    run_once();
  }
  EXPECT_EQ(forwarder->stats().sources, 0U);
}

TEST_P(ForwarderTest, ACallMayRemoveItsOwnSourceAndAddAnother) {
  drive();
  Fd other = make_eventfd();
  SourceId id = 0;
  int calls = 0;
  id = add_call(source, [&](uint64_t) {
    ++calls;
    EXPECT_TRUE(forwarder->remove(id));
    add(other, sink);
  });
  run_once();
  signal_eventfd(source);
  run_once();
  signal_eventfd(source);
  signal_eventfd(other);
  run_once();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(drain_eventfd(sink), 1U);
}

TEST_P(ForwarderTest, TheOwnersDescriptorsMayBeClosed) {
  drive();
  Fd reader(::fcntl(sink.get(), F_DUPFD_CLOEXEC, 0));
  Fd signaller(::fcntl(source.get(), F_DUPFD_CLOEXEC, 0));
  add(source, sink);
  source.reset();
  sink.reset();
  // Other files have their numbers now, and the forwarder must not write to those.
  Fd stranger = make_eventfd();
  Fd another = make_eventfd();
  run_once();
  signal_eventfd(signaller);
  run_once();
  EXPECT_EQ(drain_eventfd(reader), 1U);
  EXPECT_EQ(drain_eventfd(stranger) + drain_eventfd(another), 0U);
}

TEST_P(ForwarderTest, AFullSinkIsCountedAndNeverWaitedFor) {
  drive();
  for (const int flags : {+EFD_NONBLOCK, 0}) {
    Fd full = make_eventfd(flags);
    signal_eventfd(full, ~uint64_t{0} - 1);
    Fd from = make_eventfd();
    const SourceId id = add(from, full);
    run_once();
    signal_eventfd(from);
    EXPECT_EQ(run_once(), 1U);
    EXPECT_EQ(forwarder->stats(id)->sink_full, 1U);
    EXPECT_EQ(drain_eventfd(full), ~uint64_t{0} - 1);
    signal_eventfd(from);
    run_once();
    EXPECT_EQ(drain_eventfd(full), 1U) << "it delivers as soon as there is room";
  }
}

TEST_P(ForwarderTest, ManySourcesEachReachTheirOwnSink) {
  constexpr unsigned kManySources = 4096;
  ASSERT_TRUE(allow_descriptors(3 * kManySources))
      << "raise the hard limit of open files (ulimit -Hn)";
  make(kManySources);
  drive();
  std::vector<Fd> sources;
  std::vector<unsigned> calls(kManySources);
  for (unsigned i = 0; i < kManySources; ++i) {
    sources.push_back(make_eventfd());
    add_call(sources.back(), [&calls, i](uint64_t) { ++calls[i]; });
  }
  run_until_quiet();
  for (const Fd& each : sources) signal_eventfd(each);
  unsigned delivered = 0;
  for (int i = 0; i < 100 && delivered < kManySources; ++i) delivered += run_once();
  EXPECT_THAT(calls, Each(1U));

  const Fd more = make_eventfd();
  auto added = forwarder->add(more.get(), {.eventfd = sink.get()});
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().code, ENOSPC);
  EXPECT_THAT(added.error().message(), HasSubstr("the limit is 4096 sources"));
}

TEST_P(ForwarderTest, AThreadOfItsOwnDeliversWithoutBeingAsked) {
  add(source, sink);
  ASSERT_TRUE(forwarder->start_thread());
  signal_eventfd(source);
  EXPECT_TRUE(eventually([&] { return drain_eventfd(sink) == 1; }));
  const Fd late = make_eventfd();
  add(late, sink);
  signal_eventfd(late);
  EXPECT_TRUE(eventually([&] { return drain_eventfd(sink) >= 1; }));
}

TEST_P(ForwarderTest, ARingIsDrivenByItsThreadOrByNoLoopsPoll) {
  if (GetParam() == Forwarder::Backend::Epoll) {
    ASSERT_TRUE(forwarder->poll_fd());
    return;
  }
  EXPECT_STREQ(forwarder->backend(), "io_uring");
  drive();
  EXPECT_EQ(forwarder->poll_fd().error().code, EBUSY) << "its ring would not wake the loop";
  make(64);
  ASSERT_TRUE(forwarder->poll_fd());
  EXPECT_STREQ(forwarder->backend(), "epoll");
}

TEST_P(ForwarderTest, ACallOfRunOnceEndsThoughAStormGoesOn) {
  drive();
  std::atomic<bool> stop = false;
  add_call(source, [](uint64_t) {}, {.max_per_second = 1});
  std::thread storm([&] {
    while (!stop) signal_eventfd(source);
  });
  for (int i = 0; i < 10; ++i) run_once();
  stop = true;
  storm.join();
}

TEST_P(ForwarderTest, OneThreadDrives) {
  EXPECT_EQ(forwarder->run_once().error().code, EPERM);
  ASSERT_TRUE(forwarder->start_thread());
  EXPECT_EQ(forwarder->start_thread().error().code, EBUSY);
  EXPECT_EQ(forwarder->poll_fd().error().code, EBUSY);
  EXPECT_EQ(forwarder->bind_to_this_thread().error().code, EBUSY);
  EXPECT_EQ(forwarder->run_once().error().code, EPERM);
}

/// A loop that sleeps until one descriptor is readable, by poll or by epoll.
class Loop {
 public:
  Loop(int fd, bool by_epoll) : fd_(fd) {
    if (!by_epoll) return;
    epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
    epoll_event event{.events = EPOLLIN, .data = {}};
    EXPECT_EQ(::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event), 0);
  }
  bool sleep(int limit_ms) {
    epoll_event event{};
    pollfd polled{.fd = fd_, .events = POLLIN, .revents = 0};
    int ready = 0;
    do {
      ready =
          epoll_ ? ::epoll_wait(epoll_.get(), &event, 1, limit_ms) : ::poll(&polled, 1, limit_ms);
    } while (ready < 0 && errno == EINTR);
    return ready == 1;
  }

 private:
  const int fd_;
  Fd epoll_;
};

TEST_P(ForwarderTest, ASleepingLoopIsWokenByWhatOthersAddAndSignal) {
  constexpr int kLong = 60'000;
  for (const bool by_epoll : {false, true}) {
    make(64);
    drain_eventfd(source);
    const auto fd = forwarder->poll_fd();
    ASSERT_TRUE(fd) << fd.error().message();
    Loop loop(*fd, by_epoll);
    EXPECT_FALSE(loop.sleep(0)) << "nothing to do";
    const auto asleep = [] { std::this_thread::sleep_for(std::chrono::milliseconds(50)); };
    const auto begin = std::chrono::steady_clock::now();
    std::thread others([&] {
      asleep();
      add(source, sink);
      asleep();
      signal_eventfd(source);
    });
    bool woken = true;
    while (woken && drain_eventfd(sink) == 0) {
      woken = loop.sleep(kLong);
      run_once();
    }
    EXPECT_TRUE(woken) << "the signal did not arrive";
    others.join();
    // A poll checks once more when it times out, so only a woken poll returns earlier.
    EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(kLong / 2));
    run_until_quiet();
    EXPECT_FALSE(loop.sleep(0)) << "no busy loop";
  }
}

TEST_P(ForwarderTest, ObservedDeliveriesAreTimedAndTracedOthersAreNot) {
  drive();
  const Fd other = make_eventfd();
  const SourceId id = add(source, sink, {.label = 7});
  add(other, sink, {.label = 8});
  run_once();
  const auto deliver_both = [&] {
    signal_eventfd(source);
    signal_eventfd(other);
    EXPECT_EQ(run_once(), 2U);
  };
  deliver_both();
  EXPECT_TRUE(forwarder->observe(id, true));
  const auto before = std::chrono::steady_clock::now();
  deliver_both();
  deliver_both();
  EXPECT_TRUE(forwarder->observe(id, false));
  deliver_both();
  const auto trace = forwarder->trace();
  ASSERT_EQ(trace.size(), 2U);
  EXPECT_EQ(trace[0].label, 7U);
  EXPECT_GE(trace[0].time, before);
  EXPECT_GE(trace[1].time, trace[0].time);
  uint64_t timed = 0;
  const SourceStats stats = *forwarder->stats(id);
  for (const uint64_t count : stats.latency_log2_ns) timed += count;
  EXPECT_EQ(timed, 2U);
}

}  // namespace
}  // namespace passthru
