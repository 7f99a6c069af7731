// SPDX-License-Identifier: MIT
// The points of an operation at which an event can happen. They are before and after each call of
// the fake kernel and the fake VMM, and between the vectors of one SET_IRQS.
#pragma once

#include <functional>
#include <string_view>
#include <utility>

#include "tests/fakes/fake_hypervisor.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {

class Sweep {
 public:
  /// A point, as the event receives it.
  struct Point {
    std::string_view call;
    bool after = false;
    bool of_vmm = false;
  };
  using Event = std::function<void(const Point&)>;

  Sweep(FakeKernel& kernel, FakeHypervisor& host, FakeDevice& device)
      : kernel_(kernel), host_(host), device_(device) {}

  /// Runs `operation` and calls `event` at its nth point, counted from 0. Calls `then` two calls
  /// later, or when the operation ends. Returns the number of points.
  unsigned run(const std::function<void()>& operation, unsigned nth, Event event,
               std::function<void()> then = {}) {
    points_ = 0;
    nth_ = nth;
    event_ = std::move(event);
    then_ = std::move(then);
    kernel_.hook.set([this](std::string_view call, bool after) { pass({call, after, false}); });
    host_.hook.set([this](std::string_view call, bool after) { pass({call, after, true}); });
    device_.set_pause([this] { pass({"within SET_IRQS", false, false}); });
    operation();
    kernel_.hook.set({});
    host_.hook.set({});
    device_.set_pause({});
    if (auto left = std::exchange(then_, {})) left();
    return points_;
  }

 private:
  void pass(const Point& point) {
    const unsigned at = points_++;
    if (at == nth_) event_(point);
    if (at != nth_ + 4) return;  // two calls later: each has a point before and after
    if (auto due = std::exchange(then_, {})) due();
  }

  FakeKernel& kernel_;
  FakeHypervisor& host_;
  FakeDevice& device_;
  unsigned points_ = 0;
  unsigned nth_ = 0;
  Event event_;
  std::function<void()> then_;
};

}  // namespace passthru
