// SPDX-License-Identifier: MIT
// The limit on the events of one kind that a device may cause. A guest causes some of them with a
// register write, and each of them costs its VMM a line of a log.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <utility>

namespace passthru {

/// Admits the first kBurst events at once, and then one in each kEvery; counts the others. Not
/// thread-safe.
class EventLimit {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr uint32_t kBurst = 8;
  static constexpr std::chrono::seconds kEvery{10};

  /// Returns how many events were held back since the last admitted event. Returns nothing if this
  /// event is held back too.
  std::optional<uint64_t> admit(Clock::time_point now) {
    if (left_ < kBurst && now - refilled_ >= kEvery) {
      const auto earned = static_cast<uint64_t>((now - refilled_) / kEvery);
      left_ = earned >= kBurst - left_ ? kBurst : left_ + static_cast<uint32_t>(earned);
      refilled_ = now;
    }
    if (left_ == 0) {
      ++held_back_;
      return std::nullopt;
    }
    if (left_-- == kBurst) refilled_ = now;
    return std::exchange(held_back_, 0U);
  }

 private:
  uint32_t left_ = kBurst;
  uint64_t held_back_ = 0;
  Clock::time_point refilled_{};
};

}  // namespace passthru
