// SPDX-License-Identifier: MIT
#include "device/busy_reset.h"

#include <fmt/format.h>

#include <thread>

namespace passthru {
namespace {

constexpr std::chrono::milliseconds kBusyPause{5};
constexpr int kBusyAttempts = 1 + kBusyLimit / kBusyPause;

}  // namespace

Result<void> reset_while_busy(const std::function<Result<void>()>& reset,
                              const std::function<bool()>& stop) {
  auto done = reset();
  for (int attempt = 1; attempt < kBusyAttempts; ++attempt) {
    if (done || done.error().code != EAGAIN || stop()) break;
    std::this_thread::sleep_for(kBusyPause);
    done = reset();
  }
  if (done || done.error().code != EAGAIN) return done;
  return tl::unexpected(std::move(done).error().because(
      "the host holds the device's lock, as it does while it unbinds or resets the device"));
}

}  // namespace passthru
