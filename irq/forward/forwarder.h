// SPDX-License-Identifier: MIT
// Owns interrupts where no irqfd takes them: carries each signal of an eventfd (a source) to
// another eventfd or to a call (its sink), for a VMM without irqfd, for INTx, and for vectors that
// somebody watches. Nothing of it runs for a vector that KVM takes directly.
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

/// Names a source from its `add` to its `remove`; no other source ever has the same.
using SourceId = uint64_t;

/// `add`, `remove`, `observe`, `stats` and `trace` from any thread, while interrupts flow.
///
/// One thread drives it: its own (`start_thread`), a loop of the VMM (`poll_fd`, `run_once`), or
/// any other (`bind_to_this_thread`, `run_once`).
/// Signals that come before either began are not lost: a source that is readable when it is first
/// watched fires once.
class Forwarder {
 public:
  enum class Backend {
    Auto,  ///< io_uring if it can be had and the environment has no PASSTHRU_NO_URING
    Uring,
    Epoll,
  };
  static constexpr unsigned kMaxSources = 65536;

  /// For up to `max_sources` sources at once, at most kMaxSources; each takes some 250 bytes from
  /// the start and two descriptors when it is there. EINVAL: `max_sources`. EMFILE, ENOMEM: no
  /// descriptor or memory. With Backend::Uring also what make_uring_poller says.
  static Result<std::unique_ptr<Forwarder>> make(unsigned max_sources = 4096,
                                                 Backend backend = Backend::Auto);
  static Result<std::unique_ptr<Forwarder>> make(unsigned max_sources,
                                                 std::unique_ptr<EdgePoller> poller);
  /// No delivery follows. Not while a loop of the VMM is in `run_once`.
  ~Forwarder();
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;

  /// From now on each signal of `eventfd` reaches the sink; many that come at once may become one.
  /// One that is readable is delivered once. Nobody else may read `eventfd` until `remove`.
  /// EBADF, EINVAL, EMFILE: what ForwardSource::open says; EEXIST: the eventfd is a source already;
  /// ENOSPC: `max_sources` are there, or were until a moment ago and the driving thread has not
  /// let them go yet.
  Result<SourceId> add(int eventfd, Sink sink, const SourceOptions& options = {})
      PASSTHRU_EXCLUDES(mutex_);

  /// On return no delivery is under way and none follows; what is not delivered is in the source's
  /// counter, which is the caller's again. It is not 0 also where all was delivered, unless the
  /// kind is Counted. False: there is no such source. Waits for at most a batch of deliveries (64,
  /// and those that moderation has held back); not at all on the driving thread, so that a sink's
  /// call may remove its own source.
  bool remove(SourceId id) PASSTHRU_EXCLUDES(mutex_);

  /// Has a source's deliveries timed and traced, or no more. False: there is no such source.
  bool observe(SourceId id, bool on) PASSTHRU_EXCLUDES(mutex_);
  [[nodiscard]] std::optional<SourceStats> stats(SourceId id) const PASSTHRU_EXCLUDES(mutex_);
  [[nodiscard]] ForwarderStats stats() const PASSTHRU_EXCLUDES(mutex_);
  /// The newest deliveries of observed sources, oldest first.
  [[nodiscard]] std::vector<TraceEntry> trace() const { return trace_.read(); }
  /// Those numbered `from` and above, counted from the first that there ever was.
  [[nodiscard]] TraceSlice trace_since(uint64_t from) const { return trace_.since(from); }

  /// Drives from a thread of its own until the end of this object. EAGAIN: none can be had; EBUSY:
  /// something drives already.
  Result<void> start_thread();
  /// Makes the calling thread the one that drives, by `run_once`, until the end of this object.
  /// EBUSY: another thread drives.
  Result<void> bind_to_this_thread();
  /// The same for a loop: returns what to poll for POLLIN, level-triggered; each time it is ready,
  /// call `run_once`. The backend is epoll then: a ring does not wake who polls it. The first
  /// poll may end with EINTR, because that ring has ended. EBUSY: another
  /// thread drives, or this one does by `bind_to_this_thread`; others: those of make_epoll_poller.
  Result<int> poll_fd();
  /// Delivers what there is, without waiting for more. Returns how much that was. EPERM: this is
  /// not the thread that drives; others: the poller failed, call again a little later.
  Result<unsigned> run_once();

  /// "io_uring" or "epoll".
  [[nodiscard]] const char* backend() const { return backend_.load(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Slot {
    std::optional<ForwardSource> source;  ///< changes only while `armed` is false and `live` too
    std::atomic<bool> live = false;       ///< a delivery may begin
    std::atomic<LatencyHistogram*> observer = nullptr;
    std::unique_ptr<LatencyHistogram> histogram;  ///< from the first `observe` on
    DeliveryCounters counters;
    Counter held;
    Counter rearmed;
    uint32_t generation = 0;
    // The driving thread's own.
    bool armed = false;
    bool ending = false;
    bool is_held = false;               ///< signalled, and to be delivered at `next_delivery`
    Clock::time_point next_delivery{};  ///< no delivery before
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

  std::unique_ptr<EdgePoller> poller_;  ///< the driving thread's, once there is one
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

  // The driving thread's own.
  std::vector<Command> taken_;
  std::set<std::pair<Clock::time_point, uint32_t>> later_;
  Clock::time_point timer_at_{};
  size_t said_ = 0;  ///< by the poller, when last it was asked

  /// Odd while the driving thread delivers.
  std::atomic<uint64_t> batch_ = 0;
  std::atomic<std::thread::id> driver_{};
  std::atomic<bool> stop_ = false;
  Counter all_delivered_, all_rearmed_, system_calls_, failures_;
  TraceRing trace_;
  std::thread thread_;
};

}  // namespace passthru
