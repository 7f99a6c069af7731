// SPDX-License-Identifier: MIT
// The host's side of a device's MSI-X (or MSI) vectors: their eventfds, and which vectors VFIO has
// bound. Knows nothing of a guest. irq/msix uses it under its lock.
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
/// VFIO allocates vectors from 0 on. If the index is NORESIZE, adding a vector means disabling all
/// and enabling all. So the allocation doubles: N vectors added in turn cost at most log2(N) such
/// cycles.
class Vectors {
 public:
  Vectors(std::shared_ptr<VfioDevice> device, Irq irq);
  ~Vectors();
  Vectors(const Vectors&) = delete;
  Vectors& operator=(const Vectors&) = delete;

  [[nodiscard]] unsigned count() const { return static_cast<unsigned>(vectors_.size()); }
  [[nodiscard]] bool bound(unsigned vector) const { return vectors_[vector].state == State::Bound; }
  /// Returns whether a failed SET_IRQS took the interrupt of a bound vector away. `rebind`, `cycle`
  /// or a `bind` that enables the index restores it.
  [[nodiscard]] bool lost(unsigned vector) const {
    const State state = vectors_[vector].state;
    return state == State::Lost || state == State::Refused;
  }
  /// Returns whether the index is enabled: the device then has MSI-X (or MSI) on.
  [[nodiscard]] bool enabled() const { return allocated_ != 0; }
  /// Returns whether the index should be enabled but the kernel refused. `cycle` tries again.
  [[nodiscard]] bool down() const { return down_; }
  /// Returns how many vectors the kernel has allocated, from 0 on. 0: the index is disabled.
  [[nodiscard]] unsigned allocated() const { return allocated_; }
  /// Returns how often the index was enabled. Each time, every vector that was bound before may
  /// have missed an interrupt and needs a signal.
  [[nodiscard]] uint64_t enables() const { return enables_; }
  /// Returns the vector's eventfd, or -1 before the first bind.
  [[nodiscard]] int eventfd(unsigned vector) const { return vectors_[vector].eventfd.get(); }

  /// Binds `wanted` (ascending, all unbound). Makes one SET_IRQS if it enables or grows the index.
  /// Otherwise makes one for each run of neighbours, because naming a bound vector again would
  /// disturb it.
  ///
  /// On error all of `wanted` is unbound, and vectors that were bound stay bound. A vector that the
  /// kernel refuses to bind again is `lost`.
  /// Errors:
  /// - ENOSPC: the host has too few vectors. The error's `index` is the limit, if the kernel
  ///   reports it. Until `release`, vectors beyond that limit fail without disturbing the index.
  Result<void> bind(std::span<const unsigned> wanted);

  /// Enables the index even if no vector is bound. A device may act on its own Enable bit. QEMU's
  /// NVMe drive, for example, only uses the vectors of queues that were created while MSI-X was on.
  /// A driver creates the first queue before it unmasks a vector.
  Result<void> enable_index();

  /// Sets how many vectors are allocated at least, from the next time that the index is enabled.
  /// With MSI the device spreads its interrupts over all allocated vectors, so this must be the
  /// number that the guest enabled.
  void allocate_at_least(unsigned vectors) { least_ = vectors; }

  /// Unbinds one bound vector and disturbs no other. The kernel frees its handler, but keeps its
  /// place among the allocated vectors. Its eventfd keeps its count. On error the vector stays
  /// bound.
  Result<void> unbind(unsigned vector);

  /// Makes the kernel write the host's message into the physical entry again.
  Result<void> rebind(unsigned vector);
  /// Disables the index and binds all bound and lost vectors again. This is the only way to restore
  /// a lost Enable bit. Returns the first error.
  /// - If the kernel refuses a vector, it is `lost`, and the others are bound.
  /// - If it refuses to enable the index, all vectors are `lost` and the index is `down`.
  /// - If it refuses to disable the index, nothing changes.
  Result<void> cycle();
  /// Disables the index. Nothing fires from now on; earlier signals stay in the eventfds.
  void disable_all();
  /// Disables the index and closes every eventfd. Nothing may still poll them.
  void release();

  /// Unbinds all vectors in one call and leaves the index enabled. What the device fires from now
  /// on stays in its own pending bits, because the kernel masks a vector without an eventfd.
  /// Earlier signals stay in the eventfds.
  void unbind_all();
  /// Closes every eventfd and calls nothing: another process goes on with the index.
  void leave();
  /// Another process has left the index enabled with `allocated` vectors. The first bind takes them
  /// over without disabling the index. If the kernel refuses, it is disabled, and can be enabled
  /// again.
  void inherit(unsigned allocated);

  /// Takes the eventfd's counter. Returns whether the interrupt was signalled since the last call.
  bool drain(unsigned vector);
  /// Returns those of `vectors` (all bound) whose counter is not 0. Takes no counter.
  [[nodiscard]] std::vector<unsigned> signalled(std::span<const unsigned> vectors) const;
  /// Signals the vector by software, as the interrupt does.
  void signal(unsigned vector);

  /// Makes the kernel act as if the device had signalled a bound vector (VFIO_IRQ_SET_DATA_NONE
  /// with ACTION_TRIGGER).
  Result<void> trigger(unsigned vector) {
    return device_->act_on_irqs(irq_, IrqAction::Trigger, vector, 1);
  }

  /// Returns the number of VFIO_DEVICE_SET_IRQS calls so far.
  [[nodiscard]] uint64_t set_irqs_calls() const { return set_irqs_calls_; }
  /// Returns how often SET_IRQS re-bound an already bound vector, including failed calls.
  [[nodiscard]] uint64_t rebinds(unsigned vector) const { return rebinds_[vector]; }
  /// Returns how often a successful SET_IRQS has written the vector's entry.
  [[nodiscard]] uint64_t writes(unsigned vector) const { return writes_[vector]; }
  /// Returns the interrupts that the host has counted for each vector since this object was
  /// created. `seen` holds the host's current counts. If it is empty, or older than the kernel's
  /// last reset of its counts, they are read here.
  [[nodiscard]] std::vector<uint64_t> interrupts(const InterruptCounts& seen = {});

 private:
  enum class State {
    Unbound,
    New,  ///< about to be bound for the first time
    Bound,
    Lost,     ///< it was bound, and a call for several vectors failed
    Refused,  ///< it was bound, and a call for it alone failed: calls for other vectors leave it
              ///< out
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
  unsigned limit_ = kNoLimit;  ///< vectors that the host has for this index, as the kernel reported
  bool down_ = false;
  bool inherited_ = false;  ///< another process has left the index enabled
  uint64_t enables_ = 0;
  uint64_t set_irqs_calls_ = 0;
  std::vector<uint64_t> rebinds_;
  std::vector<uint64_t> writes_;
  std::vector<uint64_t> counted_before_;  ///< by the kernel, until the index was last disabled
  std::chrono::steady_clock::time_point forgotten_{};  ///< when it was last disabled
  /// Counted by the kernel since then, as last read. The kernel no longer lists a vector that was
  /// unbound.
  std::vector<uint64_t> counted_;
};

}  // namespace passthru
