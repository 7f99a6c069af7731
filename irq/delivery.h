// SPDX-License-Identifier: MIT
// The vectors of MSI-X or MSI on their way to the guest: bound in VFIO, routed in the VMM, armed or
// latched, as the guest's registers say. irq/message_interrupts uses it under its lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "irq/forwarding_router.h"
#include "irq/msi_message.h"
#include "irq/table_restorer.h"
#include "irq/vector_source.h"
#include "irq/vector_state.h"
#include "irq/vectors.h"
#include "vfio/device.h"

namespace passthru {

/// Reports to the device's owner. Delivery calls it with the vectors locked: it must not call back.
class VectorObserver {
 public:
  virtual ~VectorObserver() = default;
  /// The vector cannot be live, though the guest wants it. Reported once until it works again.
  virtual void vector_failed(unsigned vector, const Error& error) = 0;
  virtual void vectors_restored(unsigned count) = 0;
  virtual void intx_failed(const Error& error) = 0;
  enum class Change { Masked, Unmasked, Restored };
  /// For a trace. A guest that masks in its handler causes it at each interrupt.
  virtual void vector_changed(unsigned /*vector*/, Change /*change*/) {}
};

/// The vectors of one interrupt index on their way to the guest. Not thread-safe.
///
/// An unroutable vector latches like a masked one. On hardware its messages would be lost in
/// memory; here they wait until the guest corrects the message.
class Delivery {
 public:
  using Clock = std::chrono::steady_clock;
  /// A vector whose entry is not visible gets at most one extra signal in this time. Without that
  /// bound, a guest that masks in its handler would interrupt itself without end.
  static constexpr std::chrono::milliseconds kUnseenSignalEvery{100};
  /// How long a signal may stay unread before the vector counts as stalled.
  static constexpr std::chrono::milliseconds kUnreadFor{5};
  struct Options {
    Irq irq = Irq::Msix;
    uint16_t requester_id = 0;
    uint32_t max_per_second = 0;  ///< interrupts of each vector; 0: no limit
    TableRestorer::Wake wake{};
    TableRestorer::Pause pause{};
    std::function<Clock::time_point()> now = Clock::now;
  };

  /// `physical` may be null: then no entry is visible.
  Delivery(std::shared_ptr<VfioDevice> device, const PhysicalTable* physical,
           ForwardingRouter& router, VectorObserver& observer, Options options);
  ~Delivery() { release(); }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// Brings the vectors [first, first + count) to where `source` says, and enables the index in the
  /// device. Disarms first and activates last, so that no vector waits for another's SET_IRQS.
  /// Failures go to the observer; such a vector stays latched, and is tried again when the guest
  /// touches it again.
  void sync_vectors(const VectorSource& source, unsigned first, unsigned count);

  /// Asks Router::translate again for the live vectors whose messages `filter` selects, and syncs
  /// them. A route changes only if the answer changed. SET_IRQS is called only for vectors that
  /// become live, as on an unmask.
  void retranslate(const VectorSource& source, const MessageFilter& filter);

  /// Sends a vector's signals through the forwarder, timed and traced by `label`; with nullopt,
  /// ends that. Also holds when the vector becomes live later. Loses nothing. On error the signals
  /// go the way that they went before; if even that fails, the observer learns it.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label);

  /// Makes the host allocate at least `vectors` when the index is next enabled.
  void allocate_at_least(unsigned vectors) { vectors_.allocate_at_least(vectors); }

  /// Unbinds and unroutes all vectors. Pending ones stay pending.
  void release();
  /// The same, and clears what is pending.
  void reset();

  /// What happens to the vectors' eventfds when another process goes on with the device.
  enum class Leave {
    /// Unbinds them. The device keeps what it fires as pending, until a vector is bound again.
    Unbound,
    /// Leaves them bound. For MSI without mask bits: the kernel would clear the message of an
    /// unbound vector, and the device would write its interrupts to address 0.
    Bound,
  };
  /// Unroutes all vectors for another process, and leaves the index enabled in the device. Pending
  /// ones stay pending, until `pending` is asked.
  void leave(Leave how);
  /// Goes on with vectors that another process has left. `allocated`: see Vectors::inherit. Brings
  /// the vectors [0, count) to where `source` says. Each live vector gets one signal, because it
  /// may have missed an interrupt: while no eventfd was bound, or after the VMM saved the state of
  /// its interrupt controller. An extra interrupt is harmless, a lost interrupt is not.
  void go_on(const VectorSource& source, unsigned count, unsigned allocated);
  /// Makes a vector pending, as if it had fired while masked.
  void set_pending(unsigned vector);
  /// See Vectors::allocated.
  [[nodiscard]] unsigned allocated() const { return vectors_.allocated(); }

  /// Checks every bound vector. Restores damaged entries, and vectors that a failed restore left
  /// without an interrupt: returns an error each time until all have one. Such a vector is live
  /// again if `source` still wants it. Arms stalled vectors, and those that could not be armed,
  /// again. Returns how many vectors were restored or armed.
  Result<uint32_t> audit(const VectorSource& source);

  /// Makes the kernel act as if the device had signalled the vector.
  /// Errors:
  /// - EINVAL: the vector has no host interrupt now.
  Result<void> trigger(unsigned vector);

  /// Returns whether the vector fired while it was latched. Takes the latch, and keeps the answer
  /// until it is delivered.
  bool pending(unsigned vector);

  [[nodiscard]] unsigned count() const { return vectors_.count(); }
  [[nodiscard]] bool bound(unsigned vector) const { return vectors_.bound(vector); }
  [[nodiscard]] VectorPhase phase(unsigned vector) const;
  /// Returns the state of each vector, ascending. `device_pending` is left for the caller.
  [[nodiscard]] std::vector<VectorState> inspect(const VectorSource& source,
                                                 const InterruptCounts& seen);
  /// Returns how many interrupts of all vectors were delivered or are on their way. If the
  /// forwarder delivers all of them, these are its messages. Otherwise they are those that the host
  /// has counted, and the signals that Delivery added: the guest counts fewer if KVM merges some.
  /// `seen`: see Vectors::interrupts.
  [[nodiscard]] uint64_t delivered(const InterruptCounts& seen);
  [[nodiscard]] InterruptCounters counters() const;

 private:
  struct Vector {
    EventfdOwner owner = EventfdOwner::None;
    std::optional<RouteId> route{};
    MsiMessage wanted{};   ///< the translation of the guest's message
    MsiMessage routed{};   ///< the message that the route carries
    bool pending = false;  ///< fired while masked, already taken from the latch
    bool failed = false;   ///< reported, and not live since
    /// Since when each look has found signals that nothing has taken.
    std::optional<Clock::time_point> unread_since{};
    /// When it got an extra signal because its entry is not visible.
    std::optional<Clock::time_point> unseen_signal{};
    std::string unroutable{};
  };

  /// Since the device was opened: no reset clears it.
  struct Counters : VectorCounters {
    uint64_t added = 0;                      ///< signals that no host interrupt has caused
    std::optional<SourceStats> forwarded{};  ///< before the vector was last armed
    std::chrono::nanoseconds masked_for{};
    std::optional<Clock::time_point> masked_since{};
  };

  /// What update_vector leaves to do.
  enum class NextStep { None, Activate };

  [[nodiscard]] std::optional<uint64_t> label_of(unsigned vector) const;
  void set_label(unsigned vector, std::optional<uint64_t> label);
  [[nodiscard]] bool armed(unsigned vector) const {
    return states_[vector].owner == EventfdOwner::Irqfd ||
           states_[vector].owner == EventfdOwner::Forwarder;
  }
  [[nodiscard]] bool routable(unsigned vector) const { return states_[vector].unroutable.empty(); }
  [[nodiscard]] std::optional<SourceStats> forwarded(unsigned vector);
  [[nodiscard]] uint64_t delivered(unsigned vector, uint64_t interrupts);
  void set_masked(unsigned vector, bool masked);
  NextStep update_vector(const VectorSource& source, unsigned vector);
  bool translate(unsigned vector, const MsiMessage& message);
  void disarm(unsigned vector);
  void free_vector(unsigned vector);
  void unroute_all();
  void latch_all();
  void activate(const VectorSource& source, std::span<const unsigned> wanted);
  void bind(const VectorSource& source, std::span<const unsigned> wanted);
  Result<void> apply_restore(const VectorSource& source, const RestoreResult& result);
  void report_restored(const RestoreResult& result);
  void replay_unseen(unsigned vector);
  void replay_possibly_lost(const VectorSource& source, unsigned vector);
  void replay_after_enable(const VectorSource& source, std::span<const unsigned> is_new);
  Result<void> arm(unsigned vector);
  void arm_or_report(unsigned vector);
  [[nodiscard]] bool routed(unsigned vector) const {
    return states_[vector].route && states_[vector].routed == states_[vector].wanted;
  }
  [[nodiscard]] RouteChange route_change(unsigned vector) const;
  Result<void> take_route(unsigned vector, const Result<RouteId>& answer);
  Result<void> route(unsigned vector);
  void route_all(std::span<const unsigned> vectors);
  void reroute(unsigned first, unsigned count);
  [[nodiscard]] std::vector<unsigned> unread();
  uint32_t rearm_stalled(const VectorSource& source);
  void latch_lost_vectors(const Error& error);
  void report_lost(std::span<const unsigned> vectors, const Error& error);
  void report_failed(unsigned vector, const Error& error);

  ForwardingRouter& router_;
  VectorObserver& observer_;
  const uint16_t requester_id_;
  const uint32_t max_per_second_;
  const std::function<Clock::time_point()> now_;
  // Tear-down order: restorer_ uses vectors_.
  Vectors vectors_;
  TableRestorer restorer_;
  std::vector<Vector> states_;
  std::vector<Counters> counters_;
  /// Vectors whose bad message was reported. Never cleared: a guest could cause reports without
  /// end.
  std::vector<bool> told_unroutable_;
  std::map<unsigned, uint64_t> watched_;  ///< label by vector
  uint64_t refused_messages_ = 0;
  uint64_t rearms_ = 0;
};

}  // namespace passthru
