// SPDX-License-Identifier: MIT
// A hook before and after each call of a fake: a test uses it to let something happen there, as
// hardware, another CPU or a reset would.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

namespace passthru {

/// Calls are not hooked while the hook runs: neither its own nor those of other threads.
class FakeHook {
 public:
  using Action = std::function<void(std::string_view call, bool after)>;

  /// Waits while the hook runs. Must not be called from the hook itself.
  void set(Action action) {
    while (running_.exchange(true)) std::this_thread::yield();
    action_ = std::move(action);
    running_ = false;
  }

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
    if (running_.exchange(true)) return;
    if (action_) action_(call, after);
    running_ = false;
  }

  Action action_;
  std::atomic<bool> running_{false};
};

}  // namespace passthru
