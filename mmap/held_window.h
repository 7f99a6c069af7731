// SPDX-License-Identifier: MIT
// The lifetime of a window and its target: both live while the address space has the window, and
// until the last access to it has ended.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <memory>
#include <utility>

#include "mmap/address_space.h"

namespace passthru {

/// A window as an address space keeps it. Accesses hold its target through one of several counts,
/// so that vCPUs share no cache line.
class AddressSpace::HeldWindow {
 public:
  /// Becomes true, and wakes all waiting threads, once the window is no longer held.
  using Gone = std::shared_ptr<std::atomic<bool>>;
  using Hold = std::shared_ptr<AccessTarget>;
  static constexpr size_t kCounts = 8;
  using Holds = std::array<Hold, kCounts>;

  explicit HeldWindow(Window window) : kept_(std::make_shared<Kept>(std::move(window))) {
    if (!kept_->window.target) return;
    for (Hold& hold : holds_) {
      hold = Hold(kept_->window.target.get(), LetGo{kept_});
    }
  }

  [[nodiscard]] const Window& window() const { return kept_->window; }
  [[nodiscard]] const Gone& gone() const { return kept_->gone; }
  /// Returns the holds, which live as long as this object. A copy of the hold at index
  /// `count_of_this_thread` keeps the target alive. All holds are null if the window has no target.
  [[nodiscard]] const Holds& holds() const { return holds_; }

  static size_t count_of_this_thread() {
    static std::atomic<size_t> threads{0};
    thread_local const size_t mine = threads.fetch_add(1, std::memory_order_relaxed) % kCounts;
    return mine;
  }

 private:
  struct Kept {
    explicit Kept(Window given) : window(std::move(given)) {}
    ~Kept() {
      window = {};
      gone->store(true, std::memory_order_release);
      gone->notify_all();
    }
    Kept(const Kept&) = delete;
    Kept& operator=(const Kept&) = delete;

    Window window;
    Gone gone = std::make_shared<std::atomic<bool>>(false);
  };

  /// Keeps the count of each hold in its own cache line.
  struct alignas(64) LetGo {
    std::shared_ptr<Kept> kept;
    void operator()(AccessTarget* /*target*/) const {}
  };

  std::shared_ptr<Kept> kept_;
  Holds holds_;
};

}  // namespace passthru
