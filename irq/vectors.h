// SPDX-License-Identifier: MIT
// Owns the host's side of a device's MSI-X (or MSI) vectors: their eventfds and which of them VFIO
// has bound. Grows them as the kernel allows, re-issues them; knows nothing of a guest. Used by
// irq/msix under its lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "pci/interrupt_counts.h"
#include "vfio/device.h"
#include "vfio/kernel.h"

namespace passthru {

/// The vectors of one interrupt index. Not thread-safe.
///
/// VFIO allocates vectors from 0 on. Where the index is NORESIZE they can only be added by
/// disabling all and enabling all, so the allocation doubles: log2(N) such cycles at most, however
/// many vectors come one by one.
class Vectors {
 public:
  Vectors(std::shared_ptr<VfioDevice> device, Irq irq);
  ~Vectors();
  Vectors(const Vectors&) = delete;
  Vectors& operator=(const Vectors&) = delete;

  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(vectors_.size()); }
  [[nodiscard]] bool bound(unsigned vector) const { return vectors_[vector].state == State::Bound; }
  /// It was bound, and a SET_IRQS that failed has taken its interrupt away. `rebind`, `cycle` or a
  /// `bind` that enables the index gives it back.
  [[nodiscard]] bool lost(unsigned vector) const {
    const State state = vectors_[vector].state;
    return state == State::Lost || state == State::Refused;
  }
  /// Whether the index is enabled: so the device sees MSI-X (or MSI) on.
  [[nodiscard]] bool enabled() const { return allocated_ != 0; }
  /// It should be, and the kernel refused it: `cycle` tries again.
  [[nodiscard]] bool down() const { return down_; }
  /// How often it was enabled. Each time, all vectors that were bound before may have missed an
  /// interrupt, and each wants a signal.
  [[nodiscard]] uint64_t enables() const { return enables_; }
  /// -1 before the first bind.
  [[nodiscard]] int eventfd(unsigned vector) const { return vectors_[vector].eventfd.get(); }

  /// Binds `wanted` (ascending, none bound yet): one SET_IRQS where it enables or grows the index,
  /// otherwise one for each run of neighbours, because naming a bound vector again would disturb
  /// it. On error nothing of `wanted` is bound and what was bound before still is, unless the
  /// kernel refuses even that: then it is `lost`. ENOSPC: the host has too few vectors; the index
  /// is not disturbed for a vector beyond that limit again, until `release`. The error's `index` is
  /// the limit where the kernel tells it.
  Result<void> bind(std::span<const unsigned> wanted);

  /// Enables the index though no vector is bound, if it is not enabled. A device may act on its own
  /// Enable bit: QEMU's NVMe drive, for one, only uses the vectors of queues that were made while
  /// MSI-X was on, and a driver makes the first before it unmasks a vector.
  Result<void> enable_index();

  /// From the next time that the index is enabled on, at least so many are allocated. With MSI the
  /// device spreads its interrupts over all that are: they must be as many as the guest enabled.
  void allocate_at_least(unsigned vectors) { least_ = vectors; }

  /// Takes away the interrupt of a bound vector, and of no other: its handler goes, its place among
  /// those that are allocated stays, and so does what its eventfd has counted. On error it is bound
  /// as before.
  Result<void> unbind(unsigned vector);

  /// Makes the kernel write the host's message into the physical entry again.
  Result<void> rebind(unsigned vector);
  /// Disables the index and binds all bound and lost vectors anew: the only way to get a lost
  /// Enable bit back. A vector that the kernel refuses is `lost`, and the others are bound. Where
  /// the kernel refuses to enable the index at all, all are `lost` and the index is `down`; where
  /// it refuses to disable it, all is as it was. Returns the first error.
  Result<void> cycle();
  /// Disables the index: nothing fires from now on, and what has fired can still be taken.
  void disable_all();
  /// Disables the index and closes every eventfd. Nobody else may still watch one.
  void release();

  /// Takes the eventfd's counter: whether the interrupt was signalled since it was last taken.
  bool drain(unsigned vector);
  /// Which of `vectors`, all bound, have a counter that is not 0. Takes nothing.
  [[nodiscard]] std::vector<unsigned> signalled(std::span<const unsigned> vectors) const;
  /// Signals the vector by software, as the interrupt does.
  void signal(unsigned vector);

  /// Has the kernel act as if the device had signalled a bound vector (VFIO_IRQ_SET_DATA_NONE with
  /// ACTION_TRIGGER).
  Result<void> trigger(unsigned vector) {
    return device_->act_on_irqs(irq_, IrqAction::Trigger, vector, 1);
  }

  /// Calls of VFIO_DEVICE_SET_IRQS so far.
  [[nodiscard]] uint64_t set_irqs_calls() const { return set_irqs_calls_; }
  /// Times that SET_IRQS named a vector that had been bound already, also in vain.
  [[nodiscard]] uint64_t rebinds(unsigned vector) const { return rebinds_[vector]; }
  /// Times that a SET_IRQS that succeeded has written the vector's entry.
  [[nodiscard]] uint64_t writes(unsigned vector) const { return writes_[vector]; }
  /// Interrupts that the host has counted for each vector since this object was made. `seen` are
  /// its counts of now, which are read here if they are none, or from before the kernel last
  /// forgot them.
  [[nodiscard]] std::vector<uint64_t> interrupts(const InterruptCounts& seen = {});

 private:
  enum class State {
    Unbound,
    New,  ///< about to be bound for the first time
    Bound,
    Lost,     ///< it was bound, and a call for several vectors failed
    Refused,  ///< the same, and the call was for it alone: no call for others names it
  };
  static constexpr unsigned kNoLimit = ~0U;
  struct Vector {
    Fd eventfd;
    State state = State::Unbound;
  };
  Result<void> set_irqs(unsigned start, unsigned end);
  Result<void> enable(unsigned allocation);
  Result<void> enable_about(unsigned allocation);
  Result<void> rebind_refused();
  [[nodiscard]] std::vector<unsigned> in_state(State state) const;
  Result<void> grow();
  Result<void> bind_runs(std::span<const unsigned> wanted);
  Result<void> disable();
  [[nodiscard]] unsigned needed() const;
  void learn_limit(Error& error);

  const std::shared_ptr<VfioDevice> device_;
  const Irq irq_;
  std::vector<Vector> vectors_;
  unsigned allocated_ = 0;  ///< vectors that the kernel has allocated, from 0 on; 0: index disabled
  unsigned least_ = 0;
  unsigned limit_ = kNoLimit;  ///< vectors that the host has for this index, as it told
  bool down_ = false;
  uint64_t enables_ = 0;
  uint64_t set_irqs_calls_ = 0;
  std::vector<uint64_t> rebinds_;
  std::vector<uint64_t> writes_;
  std::vector<uint64_t>
      counted_before_;  ///< by the kernel, up to the last time the index was disabled
  std::chrono::steady_clock::time_point forgotten_{};  ///< when that was
  /// By the kernel since then, as last seen: it names no vector that has been unbound.
  std::vector<uint64_t> counted_;
};

}  // namespace passthru
