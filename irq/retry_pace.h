// SPDX-License-Identifier: MIT
// The pace at which audits retry what failed: at once a few times, then less and less often. Pure.
#pragma once

#include <algorithm>

namespace passthru {

class RetryPace {
 public:
  /// After at most this many failures in a row, the next audit retries.
  static constexpr unsigned kTriesAtOnce = 3;
  /// The maximum number of audits to skip between two tries: 6.4 s at ten audits a second.
  static constexpr unsigned kMaxWait = 64;

  /// Returns whether this audit skips the retry. Call it at each audit.
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
  /// Returns whether the last try failed.
  [[nodiscard]] bool failing() const { return failures_ != 0; }

 private:
  unsigned failures_ = 0;
  unsigned wait_ = 0;
  unsigned left_ = 0;
};

}  // namespace passthru
