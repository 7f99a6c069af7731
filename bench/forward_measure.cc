// SPDX-License-Identifier: MIT
// The measurements. Each checks its sinks at the end: a way that loses events is broken, not fast.
#include "bench/forward_measure.h"

#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "bench/forward_rig.h"
#include "irq/forward/forwarder.h"

namespace passthru::bench {
namespace {

/// The pause between two round trips, in ns: the forwarding thread is asleep again by then. Without
/// it, a way that finds the next event before it sleeps would win.
constexpr uint64_t kIdle = 30'000;

void must_be(uint64_t arrived, uint64_t events) {
  if (arrived != events) broke("events were lost or doubled");
}

double share(uint64_t ns, uint64_t events) {
  return static_cast<double>(ns) / static_cast<double>(events);
}

double quantile(std::vector<uint64_t>& sorted, double part) {
  std::sort(sorted.begin(), sorted.end());
  const auto last = static_cast<double>(sorted.size() - 1);
  return static_cast<double>(sorted[static_cast<size_t>(part * last)]);
}

}  // namespace

OneThread measure_one_thread(Kind kind, const Load& load, uint64_t events) {
  const Pinned pinned(0);
  const uint64_t bursts = std::max<uint64_t>(events / load.burst, 1);
  events = bursts * load.burst;
  const Eventfds nobodys(load.sources);
  Set set(kind, load);
  set.way->begin();

  // Runs everything once, to warm the caches.
  for (uint64_t at = 0; at < load.sources; at += load.burst) {
    set.sources.signal(at, load.burst);
    set.way->forward(load.burst);
    nobodys.signal(at, load.burst);
  }
  static_cast<void>(set.arrived());

  const uint64_t bare_start = thread_time();
  for (uint64_t i = 0; i < bursts; ++i) nobodys.signal(i * load.burst, load.burst);
  const uint64_t bare = thread_time() - bare_start;

  const uint64_t calls = set.way->calls();
  const uint64_t total_start = thread_time();
  for (uint64_t i = 0; i < bursts; ++i) {
    set.sources.signal(i * load.burst, load.burst);
    set.way->forward(load.burst);
  }
  const uint64_t total = thread_time() - total_start;
  const uint64_t called = set.way->calls() - calls;
  must_be(set.arrived(), events);

  uint64_t after = 0;
  for (uint64_t i = 0; i < bursts; ++i) {
    set.sources.signal(i * load.burst, load.burst);
    const uint64_t start = thread_time();
    set.way->forward(load.burst);
    after += thread_time() - start - clock_cost();
  }
  must_be(set.arrived(), events);
  return {.total = share(total, events),
          .bare = share(bare, events),
          .after = share(after, events),
          .calls = share(called, events)};
}

TwoThreads measure_two_threads(Kind kind, const Load& load, uint64_t events) {
  const uint64_t bursts = std::max<uint64_t>(events / load.burst, 1);
  events = bursts * load.burst;
  Set set(kind, load);
  {
    const Pinned pinned(1);
    set.way->start();
  }
  const Pinned pinned(0);
  const auto burst = [&](uint64_t i) {
    set.sources.signal(i * load.burst, load.burst);
    for (unsigned k = 0; k < load.burst; ++k) {
      while (set.sinks.take(i * load.burst + k) == 0) pause();
    }
  };
  burst(0);
  // The kernel accounts the other thread's time when that thread sleeps.
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  const uint64_t calls = set.way->calls();
  const uint64_t start = others_time();
  for (uint64_t i = 0; i < bursts; ++i) burst(i);
  std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return {.cpu = share(others_time() - start, events),
          .calls = share(set.way->calls() - calls, events)};
}

RoundTrip measure_round_trip(Kind kind, SinkKind sink, unsigned events) {
  Set set(kind, {.sources = 64, .burst = 1, .sink = sink});
  {
    const Pinned pinned(1);
    set.way->start();
  }
  const Pinned pinned(0);
  const auto there = [&](uint64_t i) {
    return sink == SinkKind::Eventfd ? set.sinks.take(i) : set.called.exchange(0);
  };
  std::vector<uint64_t> times;
  times.reserve(events);
  for (unsigned i = 0; i < events; ++i) {
    const uint64_t start = now(CLOCK_MONOTONIC);
    set.sources.signal(i, 1);
    while (there(i) == 0) pause();
    const uint64_t end = now(CLOCK_MONOTONIC);
    times.push_back(end - start);
    while (now(CLOCK_MONOTONIC) < end + kIdle) pause();
  }
  return {.p50 = quantile(times, 0.5), .p99 = quantile(times, 0.99)};
}

Change measure_change(unsigned changes) {
  constexpr unsigned kBusy = 64;
  constexpr int kMaxStartMs = 60'000;
  const Eventfds sources(kBusy);
  const Eventfds others(2);
  std::atomic<bool> stop = false;
  auto forwarder = passthru::Forwarder::make(kBusy + changes);
  if (!forwarder) broke("make a Forwarder", forwarder.error().code);
  std::atomic<uint64_t> called = 0;
  for (unsigned i = 0; i < kBusy; ++i) {
    const auto added =
        (*forwarder)->add(sources[i], {.call = [&](uint64_t count) { called += count; }});
    if (!added) broke("add a source", added.error().code);
  }
  auto others_cpu = std::make_unique<Pinned>(1);
  if (!(*forwarder)->start_thread()) broke("start the Forwarder's thread");
  std::thread signaller([&] {
    while (!stop) {
      sources.signal(0, kBusy);
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  others_cpu.reset();
  // On a busy machine, the two threads may need a while until they run.
  for (int wait = 0; called == 0 && wait < kMaxStartMs; ++wait) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const Pinned pinned(0);
  std::vector<uint64_t> adds;
  std::vector<uint64_t> removes;
  for (unsigned i = 0; i < changes; ++i) {
    const uint64_t start = now(CLOCK_MONOTONIC);
    const auto added = (*forwarder)->add(others[0], {.eventfd = others[1]});
    const uint64_t middle = now(CLOCK_MONOTONIC);
    if (!added || !(*forwarder)->remove(*added)) broke("add and remove a source");
    adds.push_back(middle - start);
    removes.push_back(now(CLOCK_MONOTONIC) - middle);
    // The driving thread frees the removed source and sleeps.
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
  stop = true;
  signaller.join();
  if (called == 0) broke("the busy sources were not forwarded");
  return {.add_p50 = quantile(adds, 0.5),
          .add_p99 = quantile(adds, 0.99),
          .remove_p50 = quantile(removes, 0.5),
          .remove_p99 = quantile(removes, 0.99)};
}

unsigned max_sources() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return 64;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
  // Each source needs four descriptors: itself, an unpolled eventfd, and the forwarder's two
  // duplicates. The rest is for the sinks and other files.
  return static_cast<unsigned>(std::min<rlim_t>((limit.rlim_cur - 1024) / 4, 4096));
}

}  // namespace passthru::bench
