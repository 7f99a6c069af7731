// SPDX-License-Identifier: MIT
// Owns the ways of carrying signals of eventfds to sinks that forward_bench compares: ours, and
// what else a VMM could do. Each source is added first; then either the caller drives, on one
// thread, or a thread of the way's own does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "irq/forward/forward_source.h"

namespace passthru::bench {

enum class Kind {
  BareWrite,       ///< hears of nothing: writes to the sinks in turn, what nobody can go below
  EpollLevel,      ///< level-triggered epoll, read the source, write: the usual loop of a VMM
  EpollEdge,       ///< edge-triggered epoll, write
  RingCoop,        ///< multishot polls of a ring with IORING_SETUP_COOP_TASKRUN, write
  RingDefer,       ///< the same with IORING_SETUP_DEFER_TASKRUN: what ours is built on, bare
  Forwarder,       ///< passthru::Forwarder
  ForwarderEpoll,  ///< the same where io_uring is forbidden
};
inline constexpr Kind kKinds[] = {Kind::BareWrite,     Kind::EpollLevel, Kind::EpollEdge,
                                  Kind::RingCoop,      Kind::RingDefer,  Kind::Forwarder,
                                  Kind::ForwarderEpoll};
/// Short, for JSON; and for a table.
const char* key_of(Kind kind);
const char* to_string(Kind kind);

/// Ends the program with status 1: something that must not happen did.
[[noreturn]] void broke(const char* what, int error = 0);

class Way {
 public:
  virtual ~Way() = default;  ///< ends the thread
  /// Before driving begins. Both eventfds are non-blocking, and stay open as long as this.
  virtual void add(int source, const Sink& sink) = 0;
  /// On the calling thread, from then on the one that drives: begins, with nothing signalled.
  virtual void begin() = 0;
  /// Delivers until that were `count` signals.
  virtual void forward(uint64_t count) = 0;
  /// Drives from a thread of its own until the end of this; returns when that waits.
  virtual void start() = 0;
  /// System calls so far besides writes to sinks; while a thread drives, about.
  [[nodiscard]] virtual uint64_t calls() const = 0;
};

/// Whether the system has what it needs: io_uring may be forbidden, or older than Linux 6.1.
bool can_be_had(Kind kind);

/// Kind::BareWrite cannot `start`: it would not know when to write.
std::unique_ptr<Way> make_way(Kind kind, unsigned sources);

}  // namespace passthru::bench
