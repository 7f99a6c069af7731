// SPDX-License-Identifier: MIT
// The measurements of one event's cost, in ns. Each call measures one way once; forward_bench
// repeats them in turns.
#pragma once

#include <cstdint>

#include "bench/forward_ways.h"

namespace passthru::bench {

enum class SinkKind { Eventfd, Call };
inline constexpr SinkKind kSinks[] = {SinkKind::Eventfd, SinkKind::Call};

struct Load {
  unsigned sources;  ///< polled
  unsigned burst;    ///< signalled at once, in turn; then all are delivered
  SinkKind sink = SinkKind::Eventfd;
};

/// Loads with all sources at once, and with one source after another.
inline Load burst_of(unsigned count, SinkKind sink = SinkKind::Eventfd) {
  return {.sources = count, .burst = count, .sink = sink};
}
inline Load one_of(unsigned sources, SinkKind sink = SinkKind::Eventfd) {
  return {.sources = sources, .burst = 1, .sink = sink};
}

/// CPU time per event on one thread that signals and forwards.
struct OneThread {
  double total;  ///< to signal it and to forward it
  double bare;   ///< to signal an eventfd that nothing polls
  /// Time from when the burst is signalled. Leaves out what the kernel does when the signalling
  /// write(2) returns.
  double after;
  double calls;  ///< system calls besides writes to sinks
};
OneThread measure_one_thread(Kind kind, const Load& load, uint64_t events);

/// CPU time per event on the forwarding thread, while another thread signals bursts and waits for
/// their sinks.
struct TwoThreads {
  double cpu;
  double calls;
};
TwoThreads measure_two_threads(Kind kind, const Load& load, uint64_t events);

/// Time from before the signal until the sink has it: one event in flight, 64 sources in turn, the
/// forwarding thread asleep. The receiver polls without a pause.
struct RoundTrip {
  double p50, p99;
};
RoundTrip measure_round_trip(Kind kind, SinkKind sink, unsigned events);

/// Time to add and to remove a source while 64 others are signalled 1,000 times a second each.
struct Change {
  double add_p50, add_p99, remove_p50, remove_p99;
};
Change measure_change(unsigned changes);

/// Returns how many sources the limit of open files allows.
unsigned max_sources();

}  // namespace passthru::bench
