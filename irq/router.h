// SPDX-License-Identifier: MIT
// What irq/ needs from a VMM: routes that deliver an eventfd's signal to the guest as a message.
// The VMM implements it as part of device/hypervisor.h. Only the vectors of a device call it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "irq/msi_message.h"
#include "pci/bdf.h"

namespace passthru {

/// A route's number in the VMM: a GSI on KVM.
using RouteId = uint32_t;

/// One change of a batch: a new route, or another message for an existing route.
struct RouteChange {
  std::optional<RouteId> route{};  ///< nullopt: a new route
  MsiMessage message{};
  uint16_t requester_id = 0;  ///< of a new route
};

/// Selects the messages, as the guest wrote them, that a change of the VMM's interrupt remapping
/// affects. Called with the vectors locked: must not call back into the device.
using MessageFilter = std::function<bool(const MsiMessage&)>;

/// Any call may come from any thread. A route is created before it is armed. It is disarmed before
/// it is destroyed and before its eventfd is closed.
class Router {
 public:
  virtual ~Router() = default;
  /// Translates the guest's message, sent by the device `requester_id`, for the calls below. Called
  /// each time a vector goes live. On error the vector stays latched like a masked vector, and
  /// users see the error's cause.
  ///
  /// The default is an x86 guest without interrupt remapping (`translate_plain`). A VMM overrides
  /// it if it has an interrupt remapping unit, destination ids of 15 bits, or another architecture.
  /// It reports each change of its translations with AssignedDevice::retranslate. Called with the
  /// vectors of the device locked: must not call back into the device.
  virtual Result<MsiMessage> translate(const MsiMessage& message, uint16_t requester_id);
  /// Creates a route.
  /// Errors:
  /// - ENOSPC: no route is left.
  virtual Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) = 0;
  /// Takes effect for every signal after the return, whether the route is armed or not.
  virtual Result<void> update_route(RouteId route, const MsiMessage& message) = 0;
  virtual void destroy_route(RouteId route) = 0;
  /// Makes several changes. Returns a result for each, in order: its route, or the error. A route
  /// keeps its message if the VMM refuses the change.
  ///
  /// The default calls `create_route` or `update_route` for each change. Override it if the
  /// hypervisor takes its whole table each time, as KVM does. A guest's write to a device may
  /// change 2,048 routes while a vCPU waits.
  virtual std::vector<Result<RouteId>> change_routes(std::span<const RouteChange> changes);
  /// From now on each signal of `eventfd` delivers the route's message. The VMM owns the counter
  /// until `disarm`. Delivers at once if the counter is not 0.
  virtual Result<void> arm(RouteId route, int eventfd) = 0;
  /// Returns whether the VMM takes an armed eventfd's counter within the call that signals it.
  /// KVM's irqfd does so since Linux 5.11. Then a counter that stays above 0 shows that the VMM has
  /// lost the eventfd, and the library arms it again. A VMM that polls its eventfds returns false
  /// (the default): two reads above 0 may be two signals, both taken. Must never change.
  [[nodiscard]] virtual bool takes_signals_at_once() const { return false; }
  /// Stops delivery before it returns. The counter is then the caller's.
  virtual void disarm(RouteId route, int eventfd) = 0;
  /// Returns whether the VMM has no irqfd and takes each interrupt as a message. The library then
  /// creates no route. It calls `signal_msi` instead, from the forwarder's thread. Must never
  /// change.
  [[nodiscard]] virtual bool msi_by_message() const { return false; }
  /// Delivers a message without a route. Must not wait for a thread that is in a call of the
  /// library.
  virtual Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) = 0;

  /// From now on each signal of `eventfd` asserts INTx `pin` (0 = INTA#) of the guest's device at
  /// `guest_address`. At the guest's EOI the VMM deasserts the line and signals `resample`. A pin
  /// may have several eventfds, armed in separate calls, each with its own `resample`.
  /// Errors:
  /// - ENOTSUP: the VMM cannot do this (the default).
  virtual Result<void> arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample);
  /// Deasserts the line before it returns, if this was the last eventfd of all pins that are wired
  /// to it.
  virtual void disarm_intx(Bdf guest_address, unsigned pin, int eventfd);

  /// Returns whether the VMM wants INTx as levels, because it emulates the interrupt controller or
  /// its irqfds do not resample. The library then calls `set_intx` instead of the two calls above.
  /// The VMM reports each EOI with AssignedDevice::end_of_intx. Must never change.
  [[nodiscard]] virtual bool intx_by_level() const { return false; }
  /// Drives INTx `pin` of the guest's device at `guest_address`. Must not call back into that
  /// device. Must not wait for a thread that is in a call of the library.
  virtual void set_intx(Bdf guest_address, unsigned pin, bool level) = 0;
};

}  // namespace passthru
