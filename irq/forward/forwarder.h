// SPDX-License-Identifier: MIT
// The forwarder, which carries each signal of an eventfd (a source) to another eventfd or to a call
// (its sink). It serves a VMM without irqfd, INTx by level, vectors with a rate limit, and watched
// vectors. A vector that KVM takes directly never uses it.
#pragma once

#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <thread>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "irq/forward/edge_poller.h"
#include "irq/forward/forward_source.h"
#include "irq/forward/forward_stats.h"

namespace passthru {

/// Identifies a source from `add` to `remove`; never reused.
using SourceId = uint64_t;

/// `add`, `remove`, `observe`, `stats` and `trace` may be called from any thread, while interrupts
/// flow.
///
/// One thread drives it: its own (`start_thread`), a loop of the VMM (`poll_fd`, `run_once`), or
/// any other (`bind_to_this_thread`, `run_once`). Signals that come earlier are not lost: a source
/// that is readable when it is first polled fires once.
class Forwarder {
 public:
  enum class Backend {
    Auto,  ///< io_uring if the kernel allows it and PASSTHRU_NO_URING is not in the environment
    Uring,
    Epoll,
  };
  static constexpr unsigned kMaxSources = 65536;

  /// Creates a forwarder for up to `max_sources` sources, at most kMaxSources. Each takes some 250
  /// bytes from the start, and two descriptors while it exists.
  /// Errors:
  /// - EINVAL: `max_sources` is out of range.
  /// - EMFILE, ENOMEM: no descriptor or no memory is left.
  /// - With Backend::Uring: those of make_uring_poller.
  static Result<std::unique_ptr<Forwarder>> make(unsigned max_sources = 4096,
                                                 Backend backend = Backend::Auto);
  static Result<std::unique_ptr<Forwarder>> make(unsigned max_sources,
                                                 std::unique_ptr<EdgePoller> poller);
  /// Stops all deliveries. Must not run while a loop of the VMM is in `run_once`.
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  /// Adds a source: from now on each signal of `eventfd` reaches the sink. Signals that come close
  /// together may merge. If `eventfd` is readable already, it delivers once. Nothing else may read
  /// `eventfd` until `remove`.
  /// Errors:
  /// - EBADF, EINVAL, EMFILE: those of ForwardSource::open.
  /// - EEXIST: the eventfd is a source already.
  /// - ENOSPC: there are `max_sources` sources, counting removed sources that the driving thread
  ///   has not freed yet.
  Result<SourceId> add(int eventfd, Sink sink, const SourceOptions& options = {})
      PASSTHRU_EXCLUDES(mutex_);

  /// Removes a source. On return no delivery is in progress and none follows. The source's counter
  /// is the caller's again and holds undelivered signals. Unless the kind is Counted, it may also
  /// hold delivered signals.
  ///
  /// Returns false if the source does not exist. Waits for at most a batch of deliveries (64, and
  /// those that moderation held back). Does not wait on the driving thread, so a sink's call may
  /// remove its own source.
  bool remove(SourceId id) PASSTHRU_EXCLUDES(mutex_);

  /// Starts or stops timing and tracing of a source's deliveries. Returns false if the source does
  /// not exist.
  bool observe(SourceId id, bool on) PASSTHRU_EXCLUDES(mutex_);
  [[nodiscard]] std::optional<SourceStats> stats(SourceId id) const PASSTHRU_EXCLUDES(mutex_);
  [[nodiscard]] ForwarderStats stats() const PASSTHRU_EXCLUDES(mutex_);
  /// Returns the newest deliveries of observed sources, oldest first.
  [[nodiscard]] std::vector<TraceEntry> trace() const { return trace_.read(); }
  /// Returns the entries with sequence number `from` or higher; the first entry ever has number 0.
  [[nodiscard]] TraceSlice trace_since(uint64_t from) const { return trace_.since(from); }

  /// Starts a thread that drives until this object ends.
  /// Errors:
  /// - EAGAIN: no thread can be created.
  /// - EBUSY: a thread drives already.
  Result<void> start_thread();
  /// Makes the calling thread the driving thread until this object ends. It drives with `run_once`.
  /// Errors:
  /// - EBUSY: another thread drives.
  Result<void> bind_to_this_thread();
  /// The same for a loop. Returns a descriptor to poll for POLLIN, level-triggered; call `run_once`
  /// each time it is ready. Switches to epoll, because a ring does not wake a thread that polls it.
  /// The first poll may end with EINTR, because that ring has ended.
  /// Errors:
  /// - EBUSY: another thread drives, or this thread drives by `bind_to_this_thread`.
  /// - Others: those of make_epoll_poller.
  Result<int> poll_fd();
  /// Delivers all signals that are due, without waiting for others. Returns the number of
  /// deliveries.
  /// Errors:
  /// - EPERM: this thread is not the driving thread.
  /// - Others: the poller failed; call again a little later.
  Result<unsigned> run_once();

  /// Returns "io_uring" or "epoll".
  [[nodiscard]] const char* backend() const { return backend_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    std::optional<ForwardSource> source;  ///< changes only while neither armed nor live
    std::atomic<bool> live = false;       ///< a delivery may begin
    std::atomic<LatencyHistogram*> observer = nullptr;
    std::unique_ptr<LatencyHistogram> histogram;  ///< from the first `observe` on
    DeliveryCounters counters;
    Counter held;
    Counter rearmed;
    uint32_t generation = 0;
    // For the driving thread only.
    bool armed = false;
    bool ending = false;
    bool is_held = false;                        ///< signalled, due at `next_delivery`
    Clock::time_point next_delivery{};           ///< no delivery before
    std::optional<Clock::time_point> wake_at{};  ///< its entry in later_
  };
  struct Command {
    bool arm;
    uint32_t index;
  };

  Forwarder(unsigned max_sources, std::unique_ptr<EdgePoller> poller, Fd wake, Fd timer);
  [[nodiscard]] Slot* find(SourceId id) const PASSTHRU_REQUIRES(mutex_);
  void wake();

  bool begin_driving();
  void run();
  Result<unsigned> round(EdgePoller::Wait wait);
  void take_commands() PASSTHRU_EXCLUDES(mutex_);
  Result<unsigned> dispatch(std::span<const SourceEvent> fired);
  unsigned signalled(uint32_t index, Clock::time_point seen);
  unsigned hand_over(Slot& slot, Clock::time_point seen);
  void arm(uint32_t index);
  void ended(uint32_t index, int error);
  void release(uint32_t index) PASSTHRU_EXCLUDES(mutex_);
  void schedule(uint32_t index, Clock::time_point when);
  unsigned on_time();
  void program_timer();

  std::unique_ptr<EdgePoller> poller_;  ///< the driving thread's, as soon as a thread drives
  std::atomic<const char*> backend_;
  const Fd wake_;   ///< eventfd: there are commands
  const Fd timer_;  ///< timerfd: the first of later_ is due
  const std::unique_ptr<Slot[]> slots_;
  const unsigned max_sources_;

  mutable Mutex mutex_;
  std::vector<uint32_t> free_ PASSTHRU_GUARDED_BY(mutex_);
  unsigned live_ PASSTHRU_GUARDED_BY(mutex_) = 0;
  std::vector<Command> commands_ PASSTHRU_GUARDED_BY(mutex_);
  std::set<uint64_t> numbers_ PASSTHRU_GUARDED_BY(mutex_);  ///< of the eventfds that are sources

  // For the driving thread only.
  std::vector<Command> taken_;
  std::set<std::pair<Clock::time_point, uint32_t>> later_;
  Clock::time_point timer_at_{};
  size_t said_ = 0;  ///< events of the poller's last report

  /// Odd while the driving thread delivers.
  std::atomic<uint64_t> batch_ = 0;
  std::atomic<std::thread::id> driver_{};
  std::atomic<bool> stop_ = false;
  Counter all_delivered_, all_rearmed_, system_calls_, failures_;
  TraceRing trace_;
  std::thread thread_;
};

}  // namespace passthru
