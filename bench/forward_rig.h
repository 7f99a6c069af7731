// SPDX-License-Identifier: MIT
// The tools of forward_bench's measurements: clocks, CPUs, eventfds, and a set of sources and sinks
// with a way between them.
#pragma once

#include <pthread.h>
#include <sched.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <ctime>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "bench/forward_measure.h"
#include "bench/forward_ways.h"

namespace passthru::bench {

inline uint64_t now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return static_cast<uint64_t>(time.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(time.tv_nsec);
}
inline uint64_t thread_time() {
  return now(CLOCK_THREAD_CPUTIME_ID);
}
/// CPU time of all other threads, including the kernel's threads that work for the process.
inline uint64_t others_time() {
  const uint64_t own = thread_time();
  return now(CLOCK_PROCESS_CPUTIME_ID) - own;
}

/// The cost of reading thread_time(), per pair of reads.
inline uint64_t clock_cost() {
  static const uint64_t cost = [] {
    uint64_t least = UINT64_MAX;
    for (int i = 0; i < 1000; ++i) {
      const uint64_t before = thread_time();
      least = std::min(least, thread_time() - before);
    }
    return least;
  }();
  return cost;
}

/// Pins the calling thread to the first or second CPU that the process may use, until this object
/// ends.
class Pinned {
 public:
  explicit Pinned(unsigned which) {
    ::sched_getaffinity(0, sizeof(before_), &before_);
    if (CPU_COUNT(&before_) < 2) return;
    cpu_set_t only;
    CPU_ZERO(&only);
    for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
      if (!CPU_ISSET(cpu, &before_) || which-- != 0) continue;
      CPU_SET(cpu, &only);
      break;
    }
    ::sched_setaffinity(0, sizeof(only), &only);
  }
  ~Pinned() { ::sched_setaffinity(0, sizeof(before_), &before_); }
  Pinned(const Pinned&) = delete;
  Pinned& operator=(const Pinned&) = delete;

 private:
  cpu_set_t before_{};
};

/// Lets the other thread run if both share one CPU.
inline void pause() {
  static const bool shares = std::thread::hardware_concurrency() < 2;
  if (shares) std::this_thread::yield();
}

class Eventfds {
 public:
  explicit Eventfds(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      fds_.emplace_back(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC));
      if (!fds_.back()) broke("eventfd", errno);
    }
  }
  [[nodiscard]] int operator[](uint64_t i) const { return fds_[i % fds_.size()].get(); }
  /// Signals `count` eventfds, starting at `first`.
  void signal(uint64_t first, unsigned count) const {
    const uint64_t one = 1;
    uint64_t at = first % fds_.size();
    for (unsigned i = 0; i < count; ++i) {
      if (::write(fds_[at].get(), &one, sizeof(one)) != sizeof(one)) broke("signal", errno);
      if (++at == fds_.size()) at = 0;
    }
  }
  /// Returns the counter and sets it to 0.
  [[nodiscard]] uint64_t take(uint64_t i) const {
    uint64_t count = 0;
    return ::read((*this)[i], &count, sizeof(count)) == sizeof(count) ? count : 0;
  }
  [[nodiscard]] uint64_t take_all() const {
    uint64_t sum = 0;
    for (uint64_t i = 0; i < fds_.size(); ++i) sum += take(i);
    return sum;
  }

 private:
  std::vector<Fd> fds_;
};

/// Sources, sinks, and a way between them.
class Set {
 public:
  // Many sources share sinks: open files are limited.
  Set(Kind kind, const Load& load)
      : sources(load.sources), sinks(std::min(load.sources, 512U)), kind_(load.sink) {
    way = make_way(kind, load.sources + 1);
    for (unsigned i = 0; i < load.sources; ++i) way->add(sources[i], sink(i));
  }
  Sink sink(unsigned i) {
    if (kind_ == SinkKind::Eventfd) return {.eventfd = sinks[i]};
    return {.call = [this](uint64_t count) { called.fetch_add(count, std::memory_order_release); }};
  }
  /// Returns the number of events since the last call.
  uint64_t arrived() { return kind_ == SinkKind::Call ? called.exchange(0) : sinks.take_all(); }

  Eventfds sources, sinks;
  std::atomic<uint64_t> called = 0;
  std::unique_ptr<Way> way;

 private:
  const SinkKind kind_;
};

}  // namespace passthru::bench
