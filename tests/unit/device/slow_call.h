// SPDX-License-Identifier: MIT
// A kernel call that blocks until the test releases it.
#pragma once

#include <atomic>

#include "tests/fakes/eventually.h"

namespace passthru {

/// Call `wait` from a hook of the fake kernel.
class SlowCall {
 public:
  /// Only the first call waits.
  void wait() {
    if (entered_.exchange(true)) return;
    was_released_ = eventually([this] { return release_.load(); });
  }
  [[nodiscard]] bool is_entered() const {
    return eventually([this] { return entered_.load(); });
  }
  void release() { release_ = true; }
  /// Returns false if the call gave up because another thread was waiting for it.
  [[nodiscard]] bool was_released() const { return was_released_; }

 private:
  std::atomic<bool> entered_{false};
  std::atomic<bool> release_{false};
  std::atomic<bool> was_released_{false};
};

}  // namespace passthru
