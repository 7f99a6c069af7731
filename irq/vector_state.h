// SPDX-License-Identifier: MIT
// The state of one vector of MSI-X or MSI, and the counters of all vectors of a device.
//
// A counter that Delivery keeps for each vector has three places: its member of VectorCounters, the
// statement that counts, and its name in inspect/inspection_json.cc.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "irq/forward/forward_stats.h"
#include "irq/msi_message.h"
#include "irq/msix_entry.h"

namespace passthru {

/// The owner of the counter of a vector's eventfd; exactly one at every moment.
enum class EventfdOwner {
  None,       ///< the vector has no host interrupt
  Latch,      ///< masked: the counter is the pending bit
  Irqfd,      ///< live: the VMM delivers each signal
  Forwarder,  ///< live: the forwarder delivers each signal
};

/// "none", "latch", "irqfd" or "forwarder".
constexpr const char* to_string(EventfdOwner owner) {
  switch (owner) {
    case EventfdOwner::None:
      return "none";
    case EventfdOwner::Latch:
      return "latch";
    case EventfdOwner::Irqfd:
      return "irqfd";
    case EventfdOwner::Forwarder:
      return "forwarder";
  }
  return "none";
}

/// The phase of a vector. Each event leads from some phases to one other:
///
/// | event                              | from             | to                                   |
/// |------------------------------------|------------------|--------------------------------------|
/// | the guest unmasks it               | Unbound, Latched | Armed                                |
/// | ... and SET_IRQS fails             | Unbound          | Unbound, reported                    |
/// | ... and its route or arming fails  | Unbound, Latched | Latched, reported                    |
/// | ... and its message is bad           | Unbound, Latched | Unroutable, reported | | the guest
/// corrects the message     | Unroutable       | Armed                                | | the guest
/// spoils the message       | Armed            | Unroutable, reported                 | | the guest
/// masks it                 | Armed, Unroutable| Latched                              | | the
/// guest's driver frees it        | Latched          | Unbound                              | | a
/// SET_IRQS takes its interrupt away| any bound one    | Lost, reported                       | | a
/// restore gives the interrupt back | Lost             | Armed, Latched or Unroutable         | |
/// the guest disables its interrupts  | any              | Unbound                              |
///
/// Whatever the device signals while the vector is bound and not Armed stays in its eventfd, and is
/// delivered once when it becomes Armed.
enum class VectorPhase {
  Unbound,     ///< it has no host interrupt
  Latched,     ///< bound, and its eventfd's counter is its pending bit
  Armed,       ///< bound, and each signal reaches the guest
  Unroutable,  ///< the guest wants it live, and its message is not an interrupt
  Lost,        ///< it was bound, and a SET_IRQS that failed took its interrupt away
};

/// "unbound", "latched", "armed", "unroutable" or "lost".
constexpr const char* to_string(VectorPhase phase) {
  switch (phase) {
    case VectorPhase::Unbound:
      return "unbound";
    case VectorPhase::Latched:
      return "latched";
    case VectorPhase::Armed:
      return "armed";
    case VectorPhase::Unroutable:
      return "unroutable";
    case VectorPhase::Lost:
      return "lost";
  }
  return "unbound";
}

/// Counted by Delivery for each vector since the device was opened. A reset clears nothing.
struct VectorCounters {
  uint64_t latched = 0;      ///< times that it fired while masked, or while `watch` switched it
  uint64_t rearms = 0;       ///< times that it was armed again because its signals stayed unread
  std::string last_error{};  ///< of the latest failure; empty: none yet
};

/// Everything that Delivery knows of a vector.
struct VectorState : VectorCounters {
  unsigned index = 0;
  bool masked = true;  ///< by the guest, in this entry
  bool pending = false;
  bool bound = false;  ///< has a host interrupt
  VectorPhase phase = VectorPhase::Unbound;
  EventfdOwner owner = EventfdOwner::None;
  MsiMessage guest_message{};
  /// The device's entry when the library last found it sound, unless SET_IRQS has written it since;
  /// and its entry now. Empty if the vector is not bound or the table is not visible.
  std::optional<MsixEntry> last_sound{};
  std::optional<MsixEntry> in_device{};
  bool device_pending = false;  ///< its bit in the device's own pending bit array
  /// The guest wants the vector live, and its message is not an interrupt: the reason. Otherwise
  /// empty.
  std::string unroutable{};
  uint64_t interrupts = 0;  ///< counted by the host
  uint64_t delivered = 0;   ///< see Delivery::delivered
  uint64_t restores = 0;    ///< of its entry
  /// SET_IRQS calls for a vector that was bound: restores, growth, and looks at a hidden table.
  uint64_t rebinds = 0;
  /// Counted by the forwarder while the vector's signals passed through it; empty: they never did.
  std::optional<SourceStats> forwarded{};
  /// Nanoseconds that the vector was not live while the guest had its interrupts enabled.
  uint64_t masked_ns = 0;
  /// It is live, and nothing takes its eventfd's counter.
  bool unread = false;
  /// It is live, and its eventfd's counter has not been taken yet. A look at least
  /// Delivery::kUnreadFor later tells whether something takes it.
  bool signalled = false;

  [[nodiscard]] bool armed() const {
    return owner == EventfdOwner::Irqfd || owner == EventfdOwner::Forwarder;
  }
};

/// Totals of all vectors since the device was opened.
struct InterruptCounters {
  uint64_t set_irqs_calls = 0;
  uint64_t restores = 0;
  uint64_t rearms = 0;
  uint64_t damages = 0;           ///< looks that found damage, restored or not
  uint64_t refused_messages = 0;  ///< times that a vector became unroutable

  InterruptCounters& operator+=(const InterruptCounters& other) {
    set_irqs_calls += other.set_irqs_calls;
    restores += other.restores;
    rearms += other.rearms;
    damages += other.damages;
    refused_messages += other.refused_messages;
    return *this;
  }
};

}  // namespace passthru
