// SPDX-License-Identifier: MIT
#include "base/timer.h"

#include <sys/timerfd.h>

#include <cerrno>

namespace passthru {

Result<Fd> create_timer() {
  Fd timer(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer) return fail(errno, "timerfd_create");
  return timer;
}

// steady_clock is CLOCK_MONOTONIC. A time of zero would stop the timer.
void set_timer(const Fd& timer, std::optional<std::chrono::steady_clock::time_point> due) {
  itimerspec at{};
  if (due) {
    const auto since_boot = due->time_since_epoch();
    const auto seconds = std::chrono::floor<std::chrono::seconds>(since_boot);
    at.it_value = {.tv_sec = seconds.count(), .tv_nsec = (since_boot - seconds).count()};
  }
  ::timerfd_settime(timer.get(), TFD_TIMER_ABSTIME, &at, nullptr);
}

}  // namespace passthru
