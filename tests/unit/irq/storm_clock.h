// SPDX-License-Identifier: MIT
// A clock that only a test moves, and damage that comes at random times of it: a long storm runs in
// a short time, and the same way for each seed.
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

  /// Lets time pass, with the damage that falls into it.
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
  // 0.2 to 100 ms; as often between 0.2 and 2 ms as between 10 and 100 ms.
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
