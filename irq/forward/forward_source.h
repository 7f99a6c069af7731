// SPDX-License-Identifier: MIT
// Owns one source of the forwarder on its way to its sink: checked descriptors of our own, and what
// a delivery is. Knows nothing of threads or polling.
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

/// Where a source's signals go: one of the two.
struct Sink {
  /// It is written; one that is full has what it needs already.
  int eventfd = -1;
  /// Called on the driving thread with how often the source was signalled (1 for SourceKind::Edge).
  /// May add and remove sources; must not throw, nor wait for a thread that is in
  /// `Forwarder::remove`.
  std::function<void(uint64_t)> call{};
};

enum class SourceKind : uint8_t {
  Edge,  ///< the source's counter is not read: the cheapest
  /// It is read: for a sink that needs the number, and where the counter must say what is not
  /// delivered. Not for an eventfd with EFD_SEMAPHORE.
  Counted,
};

/// The highest rate that moderation can keep.
inline constexpr uint32_t kMaxPerSecond = 1'000'000;

struct SourceOptions {
  SourceKind kind = SourceKind::Edge;
  /// At most so many deliveries a second; what comes sooner becomes one, later. 0: all. At most
  /// kMaxPerSecond.
  uint32_t max_per_second = 0;
  /// With max_per_second: no delivery before, because one was made a moment ago.
  std::chrono::steady_clock::time_point not_before{};
  /// What the trace calls it.
  uint64_t label = 0;
  /// Deliveries are timed and traced from the first on (`Forwarder::observe`).
  bool observe = false;
};

/// What a source counts of its deliveries; written by the driving thread.
struct DeliveryCounters {
  Counter delivered, sink_full, sink_failed, spurious;
};

class ForwardSource {
 public:
  /// The caller's descriptors may be closed afterwards. EBADF: one is not open; EINVAL: one is no
  /// eventfd or both are the same, as far as /proc tells, or the options are wrong; EMFILE: no
  /// descriptor is left.
  static Result<ForwardSource> open(int eventfd, Sink sink, const SourceOptions& options);

  /// Hands the signal over and counts it; never waits for the sink. Returns whether there was one.
  bool deliver(DeliveryCounters& counters);

  [[nodiscard]] int fd() const { return source_.get(); }
  /// The eventfd, by the number that the kernel gave it; none where /proc does not tell.
  [[nodiscard]] std::optional<uint64_t> number() const { return number_; }
  /// Between two deliveries; 0: none.
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

// Inline: each return after a system call is a branch that the CPU has forgotten.
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

// Another process that fills a blocking sink between the look and the write holds us up until it is
// read: whoever cannot trust the sink's other holders makes it non-blocking.
inline void ForwardSource::write(uint64_t count, DeliveryCounters& counters) {
  if (sink_blocks_ && !sink_has_room()) return counters.sink_full.add();
  if (::write(sink_.get(), &count, sizeof(count)) == sizeof(count)) return;
  (errno == EAGAIN ? counters.sink_full : counters.sink_failed).add();
}

}  // namespace passthru
