// SPDX-License-Identifier: MIT
// The interface that reports which eventfds were signalled. Uses io_uring if the kernel allows it,
// otherwise edge-triggered epoll. Reads nothing from a source. Only the driving thread of
// irq/forward/forwarder uses it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace passthru {

/// A poller's report on a source.
struct SourceEvent {
  uint64_t token = 0;
  /// The fd was signalled since the last report, or was readable when armed. Spurious reports are
  /// possible.
  bool signalled = false;
  /// The fd is no longer polled: `disarm` was called, or the kernel gave up (a full completion
  /// queue, no memory). Later signals are not seen until it is armed again.
  bool ended = false;
  /// An errno that says why the kernel gave up, or 0 if the fd may be armed again at once.
  int error = 0;
};

/// Edge-triggered: many signals may merge into one report, but none is missed. The thread of the
/// first call makes all calls; signals may come from any thread.
class EdgePoller {
 public:
  virtual ~EdgePoller() = default;

  /// Polls `fd` until it is disarmed or ends. An fd that is readable already fires once. `token`
  /// must not be kReserved or armed already.
  virtual void arm(int fd, uint64_t token) = 0;
  /// Reports `ended` once. Earlier signals may be reported first. `fd` must stay open until then.
  virtual void disarm(int fd, uint64_t token) = 0;

  enum class Wait { No, UntilOne };
  /// Reports up to `fired.size()` events, in order; fewer only if there are no others. May return 0
  /// even after a wait, for example after a Unix signal. An error (EBUSY, ENOMEM, ...) loses
  /// nothing: call again, but not at once.
  virtual Result<size_t> collect(std::span<SourceEvent> fired, Wait wait) = 0;

  /// Returns a descriptor that is readable while there is something to collect, for another poll if
  /// `wakes_polls`. Valid as long as this object.
  [[nodiscard]] virtual int fd() const = 0;
  /// Returns whether polling `fd` wakes a sleeping thread.
  [[nodiscard]] virtual bool wakes_polls() const { return true; }
  /// Returns the number of system calls so far.
  [[nodiscard]] virtual uint64_t calls() const = 0;
  /// Returns "io_uring" or "epoll".
  [[nodiscard]] virtual const char* name() const = 0;

  static constexpr uint64_t kReserved = ~uint64_t{0};
};

/// Creates a poller for about `sources` sources. More sources work too, but their polls may end now
/// and then.
/// Errors:
/// - ENOSYS, EPERM: io_uring is absent or forbidden (sysctl kernel.io_uring_disabled, a seccomp
///   filter).
/// - EINVAL: the kernel is older than 5.13.
Result<std::unique_ptr<EdgePoller>> make_uring_poller(unsigned sources);
Result<std::unique_ptr<EdgePoller>> make_epoll_poller();

}  // namespace passthru
