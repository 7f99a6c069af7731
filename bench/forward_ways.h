// SPDX-License-Identifier: MIT
// The ways of carrying signals of eventfds to sinks that forward_bench compares:
// passthru::Forwarder, and what else a VMM could use. Each source is added first. Then either the
// caller drives, on one thread, or the way's own thread does.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>

#include "irq/forward/forward_source.h"

namespace passthru::bench {

enum class Kind {
  BareWrite,   ///< polls nothing, writes to the sinks in turn: the lower bound
  EpollLevel,  ///< level-triggered epoll, read the source, write: the usual loop of a VMM
  EpollEdge,   ///< edge-triggered epoll, write
  RingCoop,    ///< multishot polls of a ring with IORING_SETUP_COOP_TASKRUN, write
  RingDefer,   ///< the same with IORING_SETUP_DEFER_TASKRUN: what passthru::Forwarder is built on
  Forwarder,   ///< passthru::Forwarder
  ForwarderEpoll,  ///< the same if io_uring is forbidden
};
inline constexpr Kind kKinds[] = {Kind::BareWrite,     Kind::EpollLevel, Kind::EpollEdge,
                                  Kind::RingCoop,      Kind::RingDefer,  Kind::Forwarder,
                                  Kind::ForwarderEpoll};
/// Short, for JSON; and for a table.
const char* key_of(Kind kind);
const char* to_string(Kind kind);

/// Ends the program with status 1, because something happened that must not.
[[noreturn]] void broke(const char* what, int error = 0);

class Way {
 public:
  virtual ~Way() = default;  ///< ends the thread
  /// Called before driving begins. Both eventfds are non-blocking and stay open as long as this
  /// object.
  virtual void add(int source, const Sink& sink) = 0;
  /// Begins to drive on the calling thread, with nothing signalled.
  virtual void begin() = 0;
  /// Delivers until `count` signals are delivered.
  virtual void forward(uint64_t count) = 0;
  /// Drives from its own thread until this object ends. Returns when that thread waits.
  virtual void start() = 0;
  /// Returns the system calls so far besides writes to sinks; approximate while a thread drives.
  [[nodiscard]] virtual uint64_t calls() const = 0;
};

/// Returns whether the system supports the kind: io_uring may be forbidden, or older than Linux
/// 6.1.
bool can_be_had(Kind kind);

/// Kind::BareWrite cannot `start`: it would not know when to write.
std::unique_ptr<Way> make_way(Kind kind, unsigned sources);

}  // namespace passthru::bench
