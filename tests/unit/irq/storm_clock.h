// SPDX-License-Identifier: MIT
// A clock that only the test moves, and damage at random times of it. A long storm takes little
// real time, and each seed gives the same storm.
#pragma once

#include <chrono>
#include <cmath>
#include <cstdint>
#include <functional>
#include <random>
#include <utility>

namespace passthru {

class StormClock {
 public:
  using Time = std::chrono::nanoseconds;

  StormClock(uint64_t seed, std::function<void()> damage)
      : random_(seed), damage_(std::move(damage)), next_(interval()) {}

  [[nodiscard]] Time now() const { return now_; }
  [[nodiscard]] uint64_t damages() const { return damages_; }
  std::mt19937_64& random() { return random_; }

  /// Advances the clock, and applies the damage that falls into that time.
  void pass(Time time) {
    const Time end = now_ + time;
    while (!quiet_ && next_ <= end) {
      now_ = next_;
      next_ += interval();
      ++damages_;
      damage_();
    }
    now_ = end;
  }
  void be_quiet() { quiet_ = true; }

 private:
  // Returns 0.2 to 100 ms, as often between 0.2 and 2 ms as between 10 and 100 ms.
  Time interval() {
    std::uniform_real_distribution<double> exponent(std::log(0.2), std::log(100.0));
    return std::chrono::duration_cast<Time>(
        std::chrono::duration<double, std::milli>(std::exp(exponent(random_))));
  }

  std::mt19937_64 random_;
  std::function<void()> damage_;
  Time now_{};
  Time next_;
  uint64_t damages_ = 0;
  bool quiet_ = false;
};

}  // namespace passthru
