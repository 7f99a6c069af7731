// SPDX-License-Identifier: MIT
// The pace at which audits try again what has failed: at once for a few times, then more and more
// seldom. Pure.
#pragma once

#include <algorithm>

namespace passthru {

class RetryPace {
 public:
  /// Failures in a row after which the next audit still tries again.
  static constexpr unsigned kTriesAtOnce = 3;
  /// Audits that are left out between two tries, at most: 6.4 s at ten audits a second.
  static constexpr unsigned kMaxWait = 64;

  /// Call at each audit. Whether this one is left out.
  bool waits() {
    if (left_ == 0) return false;
    --left_;
    return true;
  }
  void failed() {
    if (++failures_ <= kTriesAtOnce) return;
    wait_ = std::clamp(2 * wait_, 1U, kMaxWait);
    left_ = wait_;
  }
  void succeeded() { *this = {}; }
  /// Whether the last try failed.
  [[nodiscard]] bool failing() const { return failures_ != 0; }

 private:
  unsigned failures_ = 0;
  unsigned wait_ = 0;
  unsigned left_ = 0;
};

}  // namespace passthru
