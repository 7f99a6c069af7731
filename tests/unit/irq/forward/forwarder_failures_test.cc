// SPDX-License-Identifier: MIT
// A forwarder with a failing kernel: a ring that overflows, calls that are interrupted or refused,
// polls that end by themselves. The last signal must always arrive.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/time.h>

#include <chrono>
#include <csignal>
#include <deque>
#include <thread>

#include "irq/forward/forwarder.h"
#include "irq/forward/uring_poller.h"
#include "tests/unit/irq/forward/forwarder_fixture.h"

namespace passthru {
namespace {

using Wait = EdgePoller::Wait;

/// A ring that fails its next calls on request, and whose flags may stay up.
class FailingRing : public UringPoller {
 public:
  static Result<std::unique_ptr<FailingRing>> make(Sizes sizes) {
    std::unique_ptr<FailingRing> ring(new FailingRing);
    PASSTHRU_TRY(ring->set_up(sizes));
    return ring;
  }
  std::deque<int> errors;
  bool flag_stays_up = false;
  static constexpr unsigned kEndless = 10'000;
  unsigned entered = 0;

 protected:
  int enter(unsigned wait) override {
    if (++entered > kEndless) return -EIO;
    if (!errors.empty()) {
      const int error = errors.front();
      errors.pop_front();
      return -error;
    }
    const int submitted = UringPoller::enter(wait);
    if (flag_stays_up) IO_URING_WRITE_ONCE(*ring_.sq.kflags, IORING_SQ_TASKRUN);
    return submitted;
  }
};

class ForwarderOnARing : public testing::Test {
 protected:
  /// The test may inspect `ring`.
  void make(UringPoller::Sizes sizes) {
    auto made = FailingRing::make(sizes);
    if (!made) GTEST_SKIP() << "no io_uring: " << made.error().message();
    ring = made->get();
    forwarder = std::move(*Forwarder::make(kSources, std::move(*made)));
    ASSERT_TRUE(forwarder->bind_to_this_thread());
  }
  void add_all() {
    for (unsigned i = 0; i < kSources; ++i) {
      sources.push_back(make_eventfd());
      ASSERT_TRUE(
          forwarder->add(sources.back().get(), {.call = [this, i](uint64_t) { ++calls[i]; }}));
    }
    run_until_quiet();
  }
  void run_until_quiet() {
    int quiet = 0;
    for (int rounds = 0; rounds < 1000; ++rounds) {
      auto count = forwarder->run_once();
      // A run without deliveries may have armed a source again.
      quiet = count && *count == 0 ? quiet + 1 : 0;
      if (quiet == 3) return;
    }
    ADD_FAILURE() << "deliveries do not end";
  }

  static constexpr unsigned kSources = 64;
  FailingRing* ring = nullptr;
  std::vector<Fd> sources;
  std::array<unsigned, kSources> calls{};
  std::unique_ptr<Forwarder> forwarder;
};

TEST_F(ForwarderOnARing, ACompletionQueueThatOverflowsLosesNothing) {
  make({.submissions = 4, .completions = 8});
  if (IsSkipped()) return;
  add_all();
  for (int round = 0; round < 10; ++round) {
    for (const Fd& source : sources) {
      for (int i = 0; i < 3; ++i) signal_eventfd(source);
    }
    const auto before = calls;
    run_until_quiet();
    for (unsigned i = 0; i < kSources; ++i) ASSERT_GT(calls[i], before[i]) << i;
  }
  EXPECT_GT(forwarder->stats().rearmed, 0U) << "the queue overflowed, which ended polls";
}

TEST_F(ForwarderOnARing, CallsThatFailAreTriedAgainAndNothingIsLost) {
  make({});
  if (IsSkipped()) return;
  add_all();
  for (const int error : {EINTR, EAGAIN, EBUSY, ENOBUFS, ENOMEM}) {
    signal_eventfd(sources[3]);
    const unsigned before = calls[3];
    ring->errors = {error, error};
    auto first = forwarder->run_once();
    if (error == EINTR) {
      EXPECT_TRUE(first);
    } else {
      ASSERT_FALSE(first) << error;
      EXPECT_EQ(first.error().code, error);
    }
    ring->errors.clear();
    run_until_quiet();
    EXPECT_EQ(calls[3], before + 1) << error;
  }
  EXPECT_EQ(forwarder->stats().failures, 4U);
}

TEST_F(ForwarderOnARing, AnArmThatFoundTheQueueFullIsSubmittedLater) {
  make({.submissions = 2, .completions = 8});
  if (IsSkipped()) return;
  ring->errors = {EBUSY, EBUSY};
  for (unsigned i = 0; i < kSources; ++i) {
    sources.push_back(make_eventfd());
    signal_eventfd(sources.back());
    ASSERT_TRUE(
        forwarder->add(sources.back().get(), {.call = [this, i](uint64_t) { ++calls[i]; }}));
  }
  EXPECT_FALSE(forwarder->run_once());
  run_until_quiet();
  EXPECT_THAT(calls, testing::Each(testing::Ge(1U)));
}

TEST_F(ForwarderOnARing, AFlagThatTheKernelLeavesUpWithNothingBehindItHoldsNothingBack) {
  make({});
  if (IsSkipped()) return;
  add_all();
  ring->flag_stays_up = true;
  for (unsigned round = 1; round <= 10; ++round) {
    signal_eventfd(sources[3]);
    ring->entered = 0;
    EXPECT_EQ(forwarder->run_once(), 1U);
    EXPECT_LT(ring->entered, 10U);
    EXPECT_EQ(calls[3], round);
  }
}

TEST_F(ForwarderOnARing, AWaitThatAUnixSignalInterruptsEndsWithNothing) {
  auto poller = make_uring_poller(4);
  if (!poller) GTEST_SKIP() << "no io_uring: " << poller.error().message();
  struct sigaction action = {};
  struct sigaction before = {};
  action.sa_handler = [](int) {};
  ::sigaction(SIGALRM, &action, &before);
  // Repeats: a call before the wait has no effect.
  const itimerval soon{.it_interval = {0, 20000}, .it_value = {0, 20000}};
  ::setitimer(ITIMER_REAL, &soon, nullptr);
  const Fd source = make_eventfd();
  (*poller)->arm(source.get(), 5);
  std::array<SourceEvent, 4> fired{};
  auto count = (*poller)->collect(fired, Wait::UntilOne);
  const itimerval off{};
  ::setitimer(ITIMER_REAL, &off, nullptr);
  ::sigaction(SIGALRM, &before, nullptr);
  ASSERT_TRUE(count) << count.error().message();
  EXPECT_EQ(*count, 0U);
  signal_eventfd(source);
  ASSERT_EQ(*(*poller)->collect(fired, Wait::UntilOne), 1U);
  EXPECT_EQ(fired[0].token, 5U);
}

/// A poller that reports what the test sets.
class ScriptedPoller : public EdgePoller {
 public:
  void arm(int /*fd*/, uint64_t token) override { armed.push_back(token); }
  void disarm(int /*fd*/, uint64_t token) override { disarmed.push_back(token); }
  Result<size_t> collect(std::span<SourceEvent> fired, Wait /*wait*/) override {
    size_t count = 0;
    for (; count < fired.size() && !says.empty(); says.pop_front()) fired[count++] = says.front();
    return count;
  }
  [[nodiscard]] int fd() const override { return -1; }
  [[nodiscard]] uint64_t calls() const override { return 0; }
  [[nodiscard]] const char* name() const override { return "script"; }

  std::vector<uint64_t> armed;
  std::vector<uint64_t> disarmed;
  std::deque<SourceEvent> says;
};

class ForwarderOnAScript : public testing::Test {
 protected:
  void SetUp() override {
    auto made = std::make_unique<ScriptedPoller>();
    poller = made.get();
    forwarder = std::move(*Forwarder::make(4, std::move(made)));
    ASSERT_TRUE(forwarder->poll_fd());
    own = poller->armed;
    id = *forwarder->add(source.get(), {.call = [this](uint64_t) { ++calls; }});
    run();
    token = poller->armed.back();
    poller->armed.clear();
  }
  void run() { EXPECT_TRUE(forwarder->run_once()); }
  void expect_armed_again() {
    EXPECT_THAT(poller->armed, testing::ElementsAre(token));
    poller->armed.clear();
  }

  ScriptedPoller* poller = nullptr;
  std::unique_ptr<Forwarder> forwarder;
  const Fd source = make_eventfd();
  SourceId id = 0;
  uint64_t token = 0;
  std::vector<uint64_t> own;  ///< of the forwarder's own eventfd and timer
  int calls = 0;
};

TEST_F(ForwarderOnAScript, ASpuriousCompletionIsHarmlessAndCountedWhereTheCounterIsRead) {
  for (const int flags : {+EFD_NONBLOCK, 0}) {
    const Fd counted = make_eventfd(flags);
    const SourceId other = *forwarder->add(counted.get(), {.call = [this](uint64_t) { ++calls; }},
                                           {.kind = SourceKind::Counted});
    run();
    poller->says = {{.token = poller->armed.back(), .signalled = true}};
    run();
    EXPECT_EQ(calls, 0);
    EXPECT_EQ(forwarder->stats(other)->spurious, 1U);
  }
}

TEST_F(ForwarderOnAScript, APollThatEndsWithItsSignalIsDeliveredAndArmedAgain) {
  poller->says = {{.token = token, .signalled = true, .ended = true}};
  run();
  EXPECT_EQ(calls, 1);
  expect_armed_again();
  EXPECT_EQ(forwarder->stats(id)->rearmed, 1U);
}

TEST_F(ForwarderOnAScript, APollThatFailsIsArmedAgainAWhileLater) {
  for (const int error : {ENOBUFS, ENOMEM, ECANCELED}) {
    poller->says = {{.token = token, .ended = true, .error = error}};
    run();
    EXPECT_TRUE(poller->armed.empty()) << "arming at once would spin";
    std::this_thread::sleep_for(std::chrono::milliseconds(15));
    poller->says = {{.token = own[1], .signalled = true}};
    run();
    expect_armed_again();
  }
  EXPECT_EQ(forwarder->stats().failures, 3U);
}

TEST_F(ForwarderOnAScript, ASourceThatIsRemovedWhileItsPollHasFailedIsLetGo) {
  poller->says = {{.token = token, .ended = true, .error = ENOMEM}};
  run();
  forwarder->remove(id);
  run();
  EXPECT_TRUE(poller->disarmed.empty());
  EXPECT_EQ(forwarder->stats().sources, 0U);
}

TEST_F(ForwarderOnAScript, ACancellationThatRacesWithASignalDeliversNothing) {
  forwarder->remove(id);
  run();
  EXPECT_THAT(poller->disarmed, testing::ElementsAre(token));
  EXPECT_EQ(forwarder->stats().sources, 1U) << "the kernel may still poll it";
  poller->says = {{.token = token, .signalled = true}, {.token = token, .ended = true}};
  run();
  EXPECT_EQ(calls, 0);
  EXPECT_TRUE(poller->armed.empty());
  EXPECT_EQ(forwarder->stats().sources, 0U);
}

TEST_F(ForwarderOnAScript, ASlotIsNotUsedAgainBeforeItsLastCompletion) {
  forwarder->remove(id);
  run();
  const Fd other = make_eventfd();
  ASSERT_TRUE(forwarder->add(other.get(), {.call = [](uint64_t) {}}));
  run();
  EXPECT_NE(poller->armed.back(), token);
  poller->says = {{.token = token, .ended = true}};
  run();
  const Fd third = make_eventfd();
  ASSERT_TRUE(forwarder->add(third.get(), {.call = [](uint64_t) {}}));
  run();
  EXPECT_EQ(poller->armed.back(), token);
}

TEST_F(ForwarderOnAScript, ItsOwnEventfdIsWatchedAgainAndAFailureOfThatIsToldTheLoop) {
  poller->says = {{.token = own[0], .signalled = true, .ended = true}};
  run();
  EXPECT_THAT(poller->armed, testing::ElementsAre(own[0]));
  poller->says = {{.token = own[1], .ended = true, .error = ENOMEM}};
  auto failed = forwarder->run_once();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ENOMEM);
  EXPECT_EQ(poller->armed.back(), own[1]);
}

}  // namespace
}  // namespace passthru
