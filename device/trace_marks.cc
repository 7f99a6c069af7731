// SPDX-License-Identifier: MIT
#include "device/trace_marks.h"

#include <algorithm>

namespace passthru {

void TraceMarks::end() {
  if (--tracers_ != 0) return;
  MutexLock lock(mutex_);
  marks_.clear();
}

void TraceMarks::add(TraceMark::Kind kind, Bdf device, unsigned index, uint64_t value) {
  if (tracers_.load(std::memory_order_relaxed) == 0) return;
  MutexLock lock(mutex_);
  // Reads the clock under the lock, so that marks are in order.
  marks_.push_back({.time = std::chrono::steady_clock::now(),
                    .kind = kind,
                    .device = device,
                    .index = index,
                    .value = value});
  ++next_;
  if (marks_.size() > kMaxMarks) marks_.pop_front();
}

TraceMarkSlice TraceMarks::since(uint64_t from) const {
  MutexLock lock(mutex_);
  from = std::min(from, next_);
  const uint64_t first = std::max(from, next_ - marks_.size());
  const auto kept = static_cast<std::ptrdiff_t>(next_ - first);
  return {.marks = {marks_.end() - kept, marks_.end()}, .next = next_, .lost = first - from};
}

}  // namespace passthru
