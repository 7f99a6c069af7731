// SPDX-License-Identifier: MIT
// The flat view that readers of an address space search, and its reclamation through liburcu.
// Private to mmap/address_space.cc.
#pragma once

// liburcu's read side is a few instructions if it is inlined. Its licence allows that for code like
// ours. Sanitizers report the inlined code as a misaligned, racing access. Their builds call the
// library instead and annotate the ordering. PASSTHRU_ANALYZED: clang's analyzer assumes that a
// thread's own pointer is null in the inlined code.
#if defined(__has_feature)
#define PASSTHRU_HAS(feature) __has_feature(feature)
#else
#define PASSTHRU_HAS(feature) 0
#endif
#if defined(__SANITIZE_THREAD__) || PASSTHRU_HAS(thread_sanitizer)
#define PASSTHRU_TSAN 1
#include <sanitizer/tsan_interface.h>
#elif !defined(PASSTHRU_ANALYZED) && !defined(__SANITIZE_ADDRESS__) && \
    !PASSTHRU_HAS(address_sanitizer) && !PASSTHRU_HAS(undefined_behavior_sanitizer)
#define _LGPL_SOURCE  // NOLINT(bugprone-reserved-identifier): liburcu's name
#endif
#include <urcu/urcu-bp.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "mmap/address_space.h"
#include "mmap/flat_view.h"
#include "mmap/held_window.h"

namespace passthru {

#if defined(PASSTHRU_TSAN)
inline char grace_period;
inline void before_grace_period() {
  __tsan_release(&grace_period);
}
inline void after_grace_period() {
  __tsan_acquire(&grace_period);
}
#else
inline void before_grace_period() {}
inline void after_grace_period() {}
#endif

/// The flat view that readers search. Immutable once published. The entries of the space keep its
/// windows alive. After a removal, the snapshot that was current until then keeps the window alive:
/// when its readers have left, the readers of all earlier snapshots have left too. A reader stays
/// only for the search. It holds the target that it has found.
class AddressSpace::Snapshot : public rcu_head {
 public:
  /// The target of the first `size` bytes of an access. Null if no target answers them.
  struct Part {
    HeldWindow::Hold target;
    uint64_t offset;
    size_t size;
  };

  explicit Snapshot(const Entries& entries) : rcu_head{}, segments_(flatten(ranges_of(entries))) {
    bases_.reserve(segments_.size());
    slots_.reserve(segments_.size());
    for (const FlatSegment& segment : segments_) {
      const HeldWindow& held = *entries[segment.owner].held;
      bases_.push_back(segment.base);
      slots_.push_back({segment.size, segment.base - held.window().base, &held.holds()});
    }
  }

  [[nodiscard]] const std::vector<FlatSegment>& segments() const { return segments_; }

  [[nodiscard]] Part find(uint64_t address, size_t size) const {
    if (bases_.empty()) return {nullptr, 0, size};
    // The last base that is not above the address, or the first base. No branch depends on the
    // address: the guest chooses it, so a predictor would miss.
    const uint64_t* base = bases_.data();
    for (size_t left = bases_.size(); left > 1;) {
      const size_t half = left / 2;
      base = base[half] <= address ? base + half : base;
      left -= half;
    }
    const size_t index = static_cast<size_t>(base - bases_.data());
    const Slot& slot = slots_[index];
    const uint64_t into = address - *base;
    if (into < slot.size) [[likely]] {
      return {(*slot.holds)[HeldWindow::count_of_this_thread()], slot.offset + into,
              std::min<uint64_t>(size, slot.size - into)};
    }
    return {nullptr, 0, gap(address, size, *base > address ? index : index + 1)};
  }

  /// Frees the snapshot and `removed` once no reader can be in either. Then adds 1 to `reclaimed`.
  /// Does not wait.
  static void retire(const Snapshot* snapshot, Held removed,
                     std::shared_ptr<std::atomic<uint64_t>> reclaimed) {
    auto* retired = const_cast<Snapshot*>(snapshot);
    retired->removed_ = std::move(removed);
    retired->reclaimed_ = std::move(reclaimed);
    before_grace_period();
    urcu_bp_call_rcu(retired, [](rcu_head* head) {
      after_grace_period();
      std::unique_ptr<Snapshot> last(static_cast<Snapshot*>(head));
      const auto count = std::move(last->reclaimed_);
      last.reset();
      count->fetch_add(1, std::memory_order_release);
      count->notify_all();
    });
  }

 private:
  struct Slot {
    uint64_t size;
    uint64_t offset;  ///< of the segment in its window
    const HeldWindow::Holds* holds;
  };

  static std::vector<FlatRange> ranges_of(const Entries& entries) {
    std::vector<FlatRange> ranges;
    ranges.reserve(entries.size());
    for (const auto& entry : entries) {
      ranges.push_back({entry.held->window().base, entry.held->window().size});
    }
    return ranges;
  }

  [[nodiscard]] size_t gap(uint64_t address, size_t size, size_t after) const {
    return after < bases_.size() ? std::min<uint64_t>(size, bases_[after] - address) : size;
  }

  std::vector<uint64_t> bases_;
  std::vector<Slot> slots_;  ///< apart from the bases, so that the search stays in few cache lines
  std::vector<FlatSegment> segments_;
  Held removed_;
  std::shared_ptr<std::atomic<uint64_t>> reclaimed_;
};

/// Keeps the current snapshot alive while it exists. Nothing waits in it.
class AddressSpace::ReadSection {
 public:
  explicit ReadSection(const AddressSpace& space) {
    urcu_bp_read_lock();
    snapshot_ = space.snapshot_.load(std::memory_order_acquire);
  }
  ~ReadSection() {
    before_grace_period();
    urcu_bp_read_unlock();
  }
  ReadSection(const ReadSection&) = delete;
  ReadSection& operator=(const ReadSection&) = delete;

  const Snapshot* operator->() const { return snapshot_; }

 private:
  const Snapshot* snapshot_;
};

}  // namespace passthru
