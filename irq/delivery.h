// SPDX-License-Identifier: MIT
// Owns who has each vector's eventfd: brings every vector of MSI-X or MSI to where the guest's
// registers say it should be, bound in VFIO, routed in the VMM, latched or live. Used by irq/msix
// and irq/msi under their locks.
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
#include "irq/vectors.h"
#include "vfio/device.h"

namespace passthru {

/// Who owns the counter of a vector's eventfd; exactly one at every moment.
enum class EventfdOwner {
  None,       ///< nobody: the vector was never live since its interrupts were enabled, or given up
  Latch,      ///< masked: the counter is the pending bit
  Irqfd,      ///< live: the VMM delivers each signal
  Forwarder,  ///< live: the forwarder delivers each signal, because the VMM cannot or it is watched
};

/// What the device's owner wants to hear. Called with the vectors locked: must not call back.
class VectorObserver {
 public:
  virtual ~VectorObserver() = default;
  /// The vector cannot be live, though the guest wants it; told once until it works again.
  virtual void vector_failed(unsigned vector, const Error& error) = 0;
  virtual void vectors_restored(unsigned count) = 0;
  virtual void intx_failed(const Error& error) = 0;
  enum class Change { Masked, Unmasked, Restored };
  /// For a trace; with a guest that masks in its handler, as often as it has interrupts.
  virtual void vector_changed(unsigned /*vector*/, Change /*change*/) {}
};

/// A vector as a person may ask about it.
struct VectorState {
  unsigned vector = 0;
  bool masked = true;
  bool pending = false;
  bool bound = false;
  EventfdOwner owner = EventfdOwner::None;
  MsiMessage message{};
  uint64_t interrupts = 0;  ///< that the host has counted
  uint64_t delivered = 0;   ///< see Delivery::delivered
  uint64_t restores = 0;    ///< times that its entry was restored
  uint64_t rearms = 0;      ///< times that it was armed again, because nobody took its signals
  /// Times that SET_IRQS was called again for it: restores, growth, and looks at a hidden table.
  uint64_t rebinds = 0;
  /// Times that it was found to have fired while it was masked, or being switched (`watch`).
  uint64_t latched = 0;
  /// How long it was not live while the guest had its interrupts enabled.
  std::chrono::nanoseconds masked_for{};
  /// What failed when last something did; empty: nothing ever.
  std::string last_error{};
  /// What the forwarder has counted, in whatever times the vector passed there; none: it never did.
  std::optional<SourceStats> forwarded{};
  /// The guest wants the vector live, and its message is no interrupt: why. Empty otherwise.
  std::string unroutable{};
  /// It is live, and yet nobody takes its eventfd's counter.
  bool unread = false;
  /// It is live, and its eventfd's counter has not been taken yet: a look a moment later, at least
  /// `Delivery::kUnreadFor`, tells whether it is.
  bool signalled = false;
  /// Of a bound vector: the device's entry when the library last found it sound, if SET_IRQS has
  /// not written it since; and what is there now. Nothing where the table cannot be looked at.
  std::optional<MsixEntry> last_sound{};
  std::optional<MsixEntry> in_device{};
  bool device_pending = false;  ///< its bit in the device's own pending bit array
};

/// The vectors of one interrupt index on their way to the guest. Not thread-safe.
///
/// A vector whose message is no interrupt latches like a masked one, from the start: on hardware
/// its messages would be lost in memory, here they wait for the guest to correct it.
class Delivery {
 public:
  using Clock = std::chrono::steady_clock;
  /// A vector whose entry cannot be looked at gets at most one extra signal in this time. Without
  /// that bound, a guest that masks in its handler would interrupt itself for ever.
  static constexpr std::chrono::milliseconds kUnseenSignalEvery{100};
  /// How long a signal may wait until nobody is taken to be there for it.
  static constexpr std::chrono::milliseconds kUnreadFor{5};
  struct Options {
    Irq irq = Irq::Msix;
    uint16_t requester_id = 0;
    uint32_t max_per_second = 0;  ///< interrupts of each vector; 0: no limit
    TableRestorer::Wake wake{};
    TableRestorer::Pause pause{};
    std::function<Clock::time_point()> now = Clock::now;
  };

  /// `physical` may be null: nothing can be looked at then.
  Delivery(std::shared_ptr<VfioDevice> device, const PhysicalTable* physical,
           ForwardingRouter& router, VectorObserver& observer, Options options);
  ~Delivery() { release(); }
  Delivery(const Delivery&) = delete;
  Delivery& operator=(const Delivery&) = delete;

  /// The guest has its interrupts enabled: so has the device from now on. Brings the vectors
  /// [first, first + count) to where `source` says: first everything that goes quiet, then
  /// everything that goes live, so that no vector waits for another's SET_IRQS. Failures go to the
  /// observer; such a vector stays latched, and is tried again when it is touched again.
  void sync_vectors(const VectorSource& source, unsigned first, unsigned count);

  /// What `Router::translate` answers may have changed: asks it again for the live vectors whose
  /// messages are concerned, and brings them there. A route is changed where the answer is another;
  /// SET_IRQS is called for none but those that go live, as on an unmask.
  void retranslate(const VectorSource& source, const MessageFilter& concerns);

  /// Has a vector's signals pass through the forwarder, timed and traced by `label`, or with
  /// nullopt no more; also when it goes live later. Nothing is lost. On error it goes the way that
  /// it went before; if even that fails, the observer is told.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label);

  /// Allocates at least `vectors` in the host when the index is next enabled.
  void allocate_at_least(unsigned vectors) { vectors_.allocate_at_least(vectors); }

  /// Unbinds and unroutes all. What is pending stays pending.
  void release();
  /// The same, and nothing is pending.
  void reset();

  /// Looks at every bound vector and restores what is damaged, and what a restore that failed has
  /// left without an interrupt: an error each time until all is. Such a vector is live again then,
  /// if `source` still wants it. A live vector whose signals nobody takes, and one that could not
  /// be armed, is armed anew. Returns how many were restored or armed.
  Result<uint32_t> audit(const VectorSource& source);

  /// Has the kernel act as if the device had signalled the vector. EINVAL: it has no interrupt of
  /// the host now.
  Result<void> trigger(unsigned vector);

  /// Whether the vector fired while it was latched. Takes the latch, keeps the answer until it is
  /// delivered.
  bool pending(unsigned vector);

  [[nodiscard]] unsigned count() const { return vectors_.count(); }
  [[nodiscard]] bool bound(unsigned vector) const { return vectors_.bound(vector); }
  [[nodiscard]] std::vector<VectorState> inspect(const VectorSource& source,
                                                 const InterruptCounts& seen);
  /// Interrupts of all vectors that were delivered, or are on their way. Where the forwarder
  /// delivers all of them: its messages. Otherwise those that the host has counted, and the signals
  /// that were added: the guest counts fewer where KVM merges some. `seen`: see
  /// Vectors::interrupts.
  [[nodiscard]] uint64_t delivered(const InterruptCounts& seen);
  [[nodiscard]] uint64_t set_irqs_calls() const { return vectors_.set_irqs_calls(); }
  [[nodiscard]] uint64_t restores() const { return restore_.count(); }
  [[nodiscard]] uint64_t rearms() const { return rearms_; }
  [[nodiscard]] uint64_t damages() const { return restore_.damages(); }
  /// How often a vector that was to be live had a message that is no interrupt.
  [[nodiscard]] uint64_t refused_messages() const { return refused_messages_; }

 private:
  struct Vector {
    EventfdOwner owner = EventfdOwner::None;
    bool has_route = false;
    RouteId route = 0;
    MsiMessage wanted{};   ///< what the guest's message was translated to when last it was
    MsiMessage routed{};   ///< the message that the route carries
    bool pending = false;  ///< fired while masked, already taken from the latch
    bool failed = false;   ///< reported, and not live since
    /// Since when each look has found signals that nobody has taken.
    std::optional<Clock::time_point> unread_since{};
    /// When it got an extra signal because its entry could not be looked at.
    std::optional<Clock::time_point> unseen_signal{};
    std::string unroutable{};
  };

  /// Since the device was opened: no reset clears it.
  struct Counts {
    uint64_t latched = 0;
    uint64_t rearmed = 0;                    ///< because nobody took its signals
    uint64_t added = 0;                      ///< signals that no interrupt of the host has caused
    std::optional<SourceStats> forwarded{};  ///< before the vector was last armed
    std::chrono::nanoseconds masked_for{};
    std::optional<Clock::time_point> masked_since{};
    std::string last_error{};
  };

  [[nodiscard]] std::optional<uint64_t> label_of(unsigned vector) const;
  void set_label(unsigned vector, std::optional<uint64_t> label);
  [[nodiscard]] bool armed(unsigned vector) const {
    return states_[vector].owner == EventfdOwner::Irqfd ||
           states_[vector].owner == EventfdOwner::Forwarder;
  }
  [[nodiscard]] std::optional<SourceStats> forwarded(unsigned vector);
  [[nodiscard]] uint64_t delivered(unsigned vector, uint64_t interrupts);
  bool count_masked(unsigned vector, bool masked);
  bool update_vector(const VectorSource& source, unsigned vector);
  bool translate(unsigned vector, const MsiMessage& message);
  void disarm(unsigned vector);
  void free_vector(unsigned vector);
  void activate(const VectorSource& source, std::span<const unsigned> wanted);
  void bind(const VectorSource& source, std::span<const unsigned> wanted);
  Result<void> apply_restore(const VectorSource& source, const RestoreResult& restored);
  void report_restored(const RestoreResult& restored);
  void replay_unseen(unsigned vector);
  void replay_possibly_lost(const VectorSource& source, unsigned vector);
  void replay_after_enable(const VectorSource& source, std::span<const unsigned> is_new);
  Result<void> arm(unsigned vector);
  void arm_or_report(unsigned vector);
  [[nodiscard]] bool routed(unsigned vector) const {
    return states_[vector].has_route && states_[vector].routed == states_[vector].wanted;
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
  void failed(unsigned vector, const Error& error);

  ForwardingRouter& router_;
  VectorObserver& observer_;
  const uint16_t requester_id_;
  const uint32_t max_per_second_;
  const std::function<Clock::time_point()> now_;
  // Tear-down order: restore_ uses vectors_.
  Vectors vectors_;
  TableRestorer restore_;
  std::vector<Vector> states_;
  std::vector<Counts> counts_;
  /// Told that its message is no interrupt. Once and for all: a guest could have it told for ever.
  std::vector<bool> told_unroutable_;
  std::map<unsigned, uint64_t> watched_;  ///< label by vector
  uint64_t refused_messages_ = 0;
  uint64_t rearms_ = 0;
};

}  // namespace passthru
