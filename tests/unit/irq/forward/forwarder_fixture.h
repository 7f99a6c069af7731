// SPDX-License-Identifier: MIT
// Eventfds, and a forwarder on each backend, for the forwarder's tests.
#pragma once

#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>

#include "irq/forward/forwarder.h"
#include "tests/fakes/eventually.h"

namespace passthru {

inline Fd make_eventfd(int flags = EFD_NONBLOCK) {
  return Fd(::eventfd(0, flags | EFD_CLOEXEC));
}

inline void signal_eventfd(const Fd& eventfd, uint64_t count = 1) {
  ASSERT_EQ(::eventfd_write(eventfd.get(), count), 0);
}

/// Returns the counter and sets it to 0; returns 0 if it is not readable.
inline uint64_t drain_eventfd(const Fd& eventfd) {
  uint64_t count = 0;
  return ::eventfd_read(eventfd.get(), &count) == 0 ? count : 0;
}

/// A forwarder on one backend, which the test's own thread drives.
class ForwarderFixture : public testing::TestWithParam<Forwarder::Backend> {
 protected:
  void SetUp() override { make(64); }

  void make(unsigned sources) {
    auto made = Forwarder::make(sources, GetParam());
    if (!made && std::getenv("PASSTHRU_NO_URING") != nullptr) GTEST_SKIP() << "no io_uring";
    ASSERT_TRUE(made) << made.error().message();
    forwarder = std::move(*made);
  }
  /// Makes the test's thread the driving thread.
  void drive() { ASSERT_TRUE(forwarder->bind_to_this_thread()); }

  SourceId add(const Fd& source, const Fd& sink, const SourceOptions& options = {}) {
    auto added = forwarder->add(source.get(), {.eventfd = sink.get()}, options);
    EXPECT_TRUE(added) << added.error().message();
    return added ? *added : 0;
  }
  SourceId add_call(const Fd& source, std::function<void(uint64_t)> call,
                    const SourceOptions& options = {}) {
    auto added = forwarder->add(source.get(), {.call = std::move(call)}, options);
    EXPECT_TRUE(added) << added.error().message();
    return added ? *added : 0;
  }
  unsigned run_once() {
    auto count = forwarder->run_once();
    EXPECT_TRUE(count) << count.error().message();
    return count ? *count : 0;
  }

  /// Runs until nothing is delivered.
  void run_until_quiet() {
    unsigned runs = 0;
    while (run_once() != 0 && runs < 10'000) ++runs;
    EXPECT_LT(runs, 10'000U) << "deliveries do not end";
  }

  std::unique_ptr<Forwarder> forwarder;
};

inline std::string name_of(const testing::TestParamInfo<Forwarder::Backend>& backend) {
  return backend.param == Forwarder::Backend::Epoll ? "Epoll" : "Uring";
}

#define PASSTHRU_ON_BOTH_BACKENDS(suite) \
  INSTANTIATE_TEST_SUITE_P(              \
      Each, suite, testing::Values(Forwarder::Backend::Uring, Forwarder::Backend::Epoll), name_of)

}  // namespace passthru
