// SPDX-License-Identifier: MIT
#include "device/busy_reset.h"

#include <cerrno>
#include <thread>

namespace passthru {
namespace {

constexpr std::chrono::milliseconds kBusyPause{5};
constexpr int kBusyAttempts = 1 + kBusyLimit / kBusyPause;

bool is_busy(const Result<void>& done) {
  return !done && (done.error().code == EAGAIN || done.error().code == EBUSY);
}

}  // namespace

Result<void> reset_while_busy(const std::function<Result<void>()>& reset,
                              const std::function<bool()>& stop) {
  auto done = reset();
  for (int attempt = 1; attempt < kBusyAttempts; ++attempt) {
    if (!is_busy(done) || stop()) break;
    std::this_thread::sleep_for(kBusyPause);
    done = reset();
  }
  if (!is_busy(done)) return done;
  const char* why =
      done.error().code == EBUSY
          ? "a device of the slot or bus was accessed all the time"
          : "the host holds the device's lock, as it does while it unbinds or resets the device";
  return tl::unexpected(std::move(done).error().because(why));
}

}  // namespace passthru
