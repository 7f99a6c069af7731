// SPDX-License-Identifier: MIT
// Owns what one event costs, in ns: one measurement of one way each. forward_bench repeats them in
// turns.
#pragma once

#include <cstdint>

#include "bench/forward_ways.h"

namespace passthru::bench {

enum class SinkKind { Eventfd, Call };
inline constexpr SinkKind kSinks[] = {SinkKind::Eventfd, SinkKind::Call};

struct Load {
  unsigned sources;  ///< watched
  unsigned burst;    ///< signalled at once, in turn; then all are delivered
  SinkKind sink = SinkKind::Eventfd;
};

/// All sources at once, and one after another.
inline Load burst_of(unsigned count, SinkKind sink = SinkKind::Eventfd) {
  return {.sources = count, .burst = count, .sink = sink};
}
inline Load one_of(unsigned sources, SinkKind sink = SinkKind::Eventfd) {
  return {.sources = sources, .burst = 1, .sink = sink};
}

/// CPU time of an event on one thread that signals and forwards.
struct OneThread {
  double total;  ///< to signal it and to forward it
  double bare;   ///< to signal an eventfd that nobody watches
  /// The clock starts when the burst is signalled: what the kernel did on the return of the
  /// signalling write(2) is not seen.
  double after;
  double calls;  ///< system calls besides writes to sinks
};
OneThread measure_one_thread(Kind kind, const Load& load, uint64_t events);

/// CPU time of an event on the thread that forwards, while another signals bursts and waits for the
/// sinks of each.
struct TwoThreads {
  double cpu;
  double calls;
};
TwoThreads measure_two_threads(Kind kind, const Load& load, uint64_t events);

/// From before the signal until the sink has it, one event in flight, 64 sources in turn, the
/// thread that forwards asleep. The receiver looks without a pause.
struct RoundTrip {
  double p50, p99;
};
RoundTrip measure_round_trip(Kind kind, SinkKind sink, unsigned events);

/// To add and to remove a source while 64 others are signalled 1,000 times a second each.
struct Change {
  double add_p50, add_p99, remove_p50, remove_p99;
};
Change measure_change(unsigned changes);

/// How many sources the limit of open files allows.
unsigned max_sources();

}  // namespace passthru::bench
