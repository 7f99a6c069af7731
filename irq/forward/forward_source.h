// SPDX-License-Identifier: MIT
// One source of the forwarder with its sink: checked duplicates of their descriptors, and the
// delivery of a signal. Knows nothing of threads or polling.
#pragma once

#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>

#include "base/fd.h"
#include "base/result.h"
#include "irq/forward/forward_stats.h"

namespace passthru {

/// The target of a source's signals: set exactly one member.
struct Sink {
  /// The forwarder writes to it. If its counter is full, the reader will wake anyway.
  int eventfd = -1;
  /// Called on the driving thread with the number of signals of the source (1 for
  /// SourceKind::Edge). May add and remove sources. Must not throw. Must not wait for a thread that
  /// is in `Forwarder::remove`.
  std::function<void(uint64_t)> call{};
};

enum class SourceKind : uint8_t {
  Edge,  ///< the source's counter is not read: the cheapest
  /// The counter is read. For a sink that needs the number, and for a counter that must hold
  /// exactly the undelivered signals. Not for an eventfd with EFD_SEMAPHORE.
  Counted,
};

/// The highest rate that moderation can keep.
inline constexpr uint32_t kMaxPerSecond = 1'000'000;

struct SourceOptions {
  SourceKind kind = SourceKind::Edge;
  /// The maximum rate of deliveries, at most kMaxPerSecond; 0: no limit. Signals that come sooner
  /// are merged into one later delivery.
  uint32_t max_per_second = 0;
  /// With max_per_second: no delivery before this time, because the last one was made just before
  /// `add`.
  std::chrono::steady_clock::time_point not_before{};
  /// The label of its entries in the trace.
  uint64_t label = 0;
  /// Deliveries are timed and traced from the first on (`Forwarder::observe`).
  bool observe = false;
};

/// A source's delivery counters; only the driving thread writes them.
struct DeliveryCounters {
  Counter delivered, sink_full, sink_failed, spurious;
};

class ForwardSource {
 public:
  /// Checks and duplicates the descriptors; the caller may close its own afterwards.
  /// Errors:
  /// - EBADF: a descriptor is not open.
  /// - EINVAL: a descriptor is not an eventfd, or both are the same eventfd, as far as /proc shows;
  ///   or the options are wrong.
  /// - EMFILE: no descriptor is left.
  static Result<ForwardSource> open(int eventfd, Sink sink, const SourceOptions& options);

  /// Delivers the signal and counts it; never waits for the sink. Returns whether there was a
  /// signal.
  bool deliver(DeliveryCounters& counters);

  [[nodiscard]] int fd() const { return source_.get(); }
  /// Returns the number that the kernel gave the eventfd, or nullopt if /proc does not show it.
  [[nodiscard]] std::optional<uint64_t> number() const { return number_; }
  /// Returns the minimum interval between two deliveries; 0: no minimum.
  [[nodiscard]] std::chrono::nanoseconds min_interval() const { return min_interval_; }
  [[nodiscard]] uint64_t label() const { return label_; }

 private:
  ForwardSource() = default;
  bool take(uint64_t& count);
  void write(uint64_t count, DeliveryCounters& counters);
  [[nodiscard]] bool sink_has_room() const;

  Fd source_;
  Fd sink_;
  std::function<void(uint64_t)> call_;
  std::optional<uint64_t> number_;
  std::chrono::nanoseconds min_interval_{};
  uint64_t label_ = 0;
  SourceKind kind_ = SourceKind::Edge;
  bool source_blocks_ = false;
  bool sink_blocks_ = false;
};

// Inline: the CPU has forgotten the branch of each return after a system call.
inline bool ForwardSource::deliver(DeliveryCounters& counters) {
  uint64_t count = 1;
  if (kind_ == SourceKind::Counted && !take(count)) {
    counters.spurious.add();
    return false;
  }
  if (call_) {
    call_(count);
  } else {
    write(count, counters);
  }
  counters.delivered.add();
  return true;
}

// Another process may fill a blocking sink between the check and the write. The write then waits
// for a reader. Use a non-blocking sink if you do not trust its other holders.
inline void ForwardSource::write(uint64_t count, DeliveryCounters& counters) {
  if (sink_blocks_ && !sink_has_room()) return counters.sink_full.add();
  if (::write(sink_.get(), &count, sizeof(count)) == sizeof(count)) return;
  (errno == EAGAIN ? counters.sink_full : counters.sink_failed).add();
}

}  // namespace passthru
