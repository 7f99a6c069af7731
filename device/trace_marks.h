// SPDX-License-Identifier: MIT
// The marks that a trace shows besides interrupts: masks, restores, resets and moves of BARs, of
// all devices of a VM. The newest marks are kept, and only during a trace.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <deque>
#include <vector>

#include "base/mutex.h"
#include "pci/bdf.h"

namespace passthru {

struct TraceMark {
  enum class Kind { Masked, Unmasked, Restored, Reset, BarMoved };
  std::chrono::steady_clock::time_point time;
  Kind kind = Kind::Reset;
  Bdf device{};        ///< on the host
  unsigned index = 0;  ///< the vector, or the BAR
  uint64_t value = 0;  ///< where the BAR is now; 0: nowhere
};

/// The marks from a sequence number on.
struct TraceMarkSlice {
  std::vector<TraceMark> marks{};  ///< oldest first
  uint64_t next = 0;               ///< the number of the next mark
  uint64_t lost = 0;               ///< requested marks that are no longer kept
};

/// Thread-safe.
class TraceMarks {
 public:
  static constexpr size_t kMaxMarks = 4096;

  /// Starts a trace. Marks are kept between each `begin` and its `end`.
  void begin() { ++tracers_; }
  void end() PASSTHRU_EXCLUDES(mutex_);
  /// Adds a mark. Costs one load if there is no trace. May be called with a device's locks held.
  void add(TraceMark::Kind kind, Bdf device, unsigned index = 0, uint64_t value = 0)
      PASSTHRU_EXCLUDES(mutex_);
  /// Returns the marks with sequence number `from` or higher. The first mark ever has number 0.
  [[nodiscard]] TraceMarkSlice since(uint64_t from) const PASSTHRU_EXCLUDES(mutex_);

 private:
  std::atomic<unsigned> tracers_ = 0;
  mutable Mutex mutex_;
  std::deque<TraceMark> marks_ PASSTHRU_GUARDED_BY(mutex_);
  uint64_t next_ PASSTHRU_GUARDED_BY(mutex_) = 0;
};

}  // namespace passthru
