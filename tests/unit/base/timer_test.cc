// SPDX-License-Identifier: MIT
#include "base/timer.h"

#include <gtest/gtest.h>
#include <poll.h>

namespace passthru {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

constexpr int kLong = 60'000;

bool is_readable(const Fd& timer, int milliseconds) {
  pollfd polled{.fd = timer.get(), .events = POLLIN, .revents = 0};
  return ::poll(&polled, 1, milliseconds) == 1;
}

TEST(Timer, IsReadableFromItsTimeOnUntilItIsSetAgain) {
  const auto timer = create_timer();
  ASSERT_TRUE(timer);
  EXPECT_FALSE(is_readable(*timer, 0)) << "not set yet";
  const auto due = Clock::now() + 20ms;
  set_timer(*timer, due);
  EXPECT_TRUE(is_readable(*timer, kLong));
  EXPECT_GE(Clock::now(), due);
  EXPECT_TRUE(is_readable(*timer, 0));
  set_timer(*timer, Clock::now() + 1h);
  EXPECT_FALSE(is_readable(*timer, 0));
}

TEST(Timer, ATimeInThePastMakesItReadableAtOnce) {
  const auto timer = create_timer();
  ASSERT_TRUE(timer);
  set_timer(*timer, Clock::now() - 1s);
  EXPECT_TRUE(is_readable(*timer, kLong));
}

TEST(Timer, WithoutATimeItNeverFires) {
  const auto timer = create_timer();
  ASSERT_TRUE(timer);
  set_timer(*timer, Clock::now() - 1s);
  set_timer(*timer, std::nullopt);
  EXPECT_FALSE(is_readable(*timer, 0));
}

}  // namespace
}  // namespace passthru
