// SPDX-License-Identifier: MIT
// Owns the question "which of these eventfds were signalled?" behind one interface: io_uring where
// the kernel allows it, edge-triggered epoll where not. Nothing is read from a source. Used by
// irq/forward/forwarder, on the one thread that drives it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace passthru {

/// What a poller says of one source.
struct SourceEvent {
  uint64_t token = 0;
  /// It was signalled since it was last said so, or was readable when it was armed; rarely neither.
  bool signalled = false;
  /// It is not watched any more: the answer to `disarm`, or the kernel gave up (a full completion
  /// queue, no memory). What fires from now on is not seen until it is armed again.
  bool ended = false;
  /// Why the kernel gave up, an errno; 0 where it is as good as before.
  int error = 0;
};

/// Edge-triggered: many signals may become one, none is missed. All calls on the thread that called
/// first; a signal may come from anywhere.
class EdgePoller {
 public:
  virtual ~EdgePoller() = default;

  /// Watches `fd` until it is disarmed or ends. One that is readable already fires once. `token` is
  /// not kReserved, and is not armed now.
  virtual void arm(int fd, uint64_t token) = 0;
  /// Said once is that it ended; what fired before may be said first. `fd` is open until then.
  virtual void disarm(int fd, uint64_t token) = 0;

  enum class Wait { No, UntilOne };
  /// Says up to `fired.size()` things, in order: fewer only if there are no more. May return 0 also
  /// after a wait, as when a Unix signal came. An error (EBUSY, ENOMEM, ...) has lost nothing: call
  /// again, but not at once.
  virtual Result<size_t> collect(std::span<SourceEvent> fired, Wait wait) = 0;

  /// Readable while there is something to collect: for another poll, if `wakes_polls`. Valid as
  /// long as this.
  [[nodiscard]] virtual int fd() const = 0;
  /// Whether who sleeps in a poll of `fd` is woken.
  [[nodiscard]] virtual bool wakes_polls() const { return true; }
  /// System calls made so far.
  [[nodiscard]] virtual uint64_t calls() const = 0;
  /// "io_uring" or "epoll".
  [[nodiscard]] virtual const char* name() const = 0;

  static constexpr uint64_t kReserved = ~uint64_t{0};
};

/// For about `sources` sources; more work too, but may end now and then. ENOSYS, EPERM: io_uring
/// is absent, or was forbidden (sysctl kernel.io_uring_disabled, a seccomp filter); EINVAL: the
/// kernel is older than 5.13.
Result<std::unique_ptr<EdgePoller>> make_uring_poller(unsigned sources);
Result<std::unique_ptr<EdgePoller>> make_epoll_poller();

}  // namespace passthru
