// SPDX-License-Identifier: MIT
// A hook that runs before and after each call of a fake. A test uses it to inject events of
// hardware, of another CPU or of a reset.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>
#include <thread>
#include <utility>

namespace passthru {

/// While the hook runs, it does not run for other calls: neither its own nor other threads'.
class FakeHook {
 public:
  using Action = std::function<void(std::string_view call, bool after)>;

  /// Sets the hook. Waits while a hook runs; the hook itself must not call it.
  void set(Action action) {
    while (running_.exchange(true)) std::this_thread::yield();
    action_ = std::move(action);
    running_ = false;
  }

  /// Place it at the start of each call, before the call's lock is taken.
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
