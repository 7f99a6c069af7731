// SPDX-License-Identifier: MIT
// A hook before and after each call of a fake: a test uses it to let something happen there, as
// hardware, another CPU or a reset would.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

namespace passthru {

/// Set it while no other thread calls the fake. What the hook itself calls is not hooked.
class FakeHook {
 public:
  using Action = std::function<void(std::string_view call, bool after)>;

  void set(Action action) { action_ = std::move(action); }

  /// Put one at the start of each call, before its lock is taken.
  class Around {
   public:
    Around(FakeHook& hook, std::string_view call) : hook_(hook), call_(call) {
      hook_.run(call_, false);
    }
    ~Around() { hook_.run(call_, true); }
    Around(const Around&) = delete;
    Around& operator=(const Around&) = delete;

   private:
    FakeHook& hook_;
    const std::string_view call_;
  };

 private:
  void run(std::string_view call, bool after) {
    if (!action_ || running_.exchange(true)) return;
    action_(call, after);
    running_ = false;
  }

  Action action_;
  std::atomic<bool> running_{false};
};

}  // namespace passthru
