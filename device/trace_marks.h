// SPDX-License-Identifier: MIT
// Owns what a trace shows besides interrupts: masks, restores, resets and moves of BARs, of all
// devices of a VM, the newest of them. Nothing is kept while nobody traces.
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

/// Marks from some number on.
struct TraceMarkSlice {
  std::vector<TraceMark> marks{};  ///< oldest first
  uint64_t next = 0;               ///< the number of the first that is still to come
  uint64_t lost = 0;               ///< marks that were asked for and are gone
};

/// Thread-safe.
class TraceMarks {
 public:
  static constexpr size_t kMaxMarks = 4096;

  /// Each `begin` has its `end`; between them marks are kept.
  void begin() { ++tracers_; }
  void end() PASSTHRU_EXCLUDES(mutex_);
  /// Costs a load while nobody traces. May be called with a device's locks held.
  void add(TraceMark::Kind kind, Bdf device, unsigned index = 0, uint64_t value = 0)
      PASSTHRU_EXCLUDES(mutex_);
  /// Those numbered `from` and above, counted from the first that there ever was.
  [[nodiscard]] TraceMarkSlice since(uint64_t from) const PASSTHRU_EXCLUDES(mutex_);

 private:
  std::atomic<unsigned> tracers_ = 0;
  mutable Mutex mutex_;
  std::deque<TraceMark> marks_ PASSTHRU_GUARDED_BY(mutex_);
  uint64_t next_ PASSTHRU_GUARDED_BY(mutex_) = 0;
};

}  // namespace passthru
