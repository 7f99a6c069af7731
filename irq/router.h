// SPDX-License-Identifier: MIT
// Owns what irq/ needs from a VMM: routes that carry an eventfd's signal into the guest as a
// message. The VMM implements it (as part of device/hypervisor.h); only the vectors of a device
// call it.
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

/// One of several changes of routes: a new route, or another message for an existing one.
struct RouteChange {
  std::optional<RouteId> route{};  ///< nothing: a new one
  MsiMessage message{};
  uint16_t requester_id = 0;  ///< of a new one
};

/// Which messages, as the guest wrote them, a change of the VMM's interrupt remapping is about.
/// Called with the vectors locked: must not call back into the device.
using MessageFilter = std::function<bool(const MsiMessage&)>;

/// Any call may come from any thread. A route is created before it is armed and disarmed before it
/// is destroyed or its eventfd is closed.
class Router {
 public:
  virtual ~Router() = default;
  /// What the guest's message, sent by the device `requester_id`, becomes for the calls below;
  /// asked whenever a vector is to be live. On error the vector stays latched like a masked one,
  /// and the error's cause is what a person reads of it. The default is an x86 guest without
  /// interrupt remapping (`translate_plain`); a VMM with an interrupt remapping unit, with
  /// destination ids of 15 bits or of another architecture answers for itself, and tells of each
  /// change of its answers by AssignedDevice::retranslate. Called with the vectors of the device
  /// locked: must not call back into it.
  virtual Result<MsiMessage> translate(const MsiMessage& message, uint16_t requester_id);
  /// ENOSPC: no route is left.
  virtual Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) = 0;
  /// Takes effect for every signal after the return, armed or not.
  virtual Result<void> update_route(RouteId route, const MsiMessage& message) = 0;
  virtual void destroy_route(RouteId route) = 0;
  /// Makes several changes, as `create_route` and `update_route` make one. Returns an answer for
  /// each, in their order: its route, or why there is no change. A route whose change is refused is
  /// as before. The default makes one after the other. A VMM overrides it if each change costs as
  /// much as all (a hypervisor that takes its whole table each time, as KVM does): a guest's write
  /// to a device may change 2,048 routes, and a vCPU waits for that.
  virtual std::vector<Result<RouteId>> change_routes(std::span<const RouteChange> changes);
  /// From now on each signal of `eventfd` delivers the route's message. The VMM owns the counter
  /// until `disarm`. A counter that is not 0 now is delivered at once.
  virtual Result<void> arm(RouteId route, int eventfd) = 0;
  /// Whether an armed eventfd's counter is taken within the call that signals it, as KVM's irqfd
  /// does since Linux 5.11. If so, a counter that stays above 0 shows that the VMM has lost the
  /// eventfd, and the library arms it again. A VMM that polls its eventfds answers false (the
  /// default): a counter above 0 at two looks may be two signals, each taken. Fixed from the start.
  [[nodiscard]] virtual bool takes_signals_at_once() const { return false; }
  /// On return no signal is delivered any more, and the counter is the caller's.
  virtual void disarm(RouteId route, int eventfd) = 0;
  /// Whether the VMM has no irqfd and takes each interrupt as a message: then the five calls above
  /// are never made, and `signal_msi` is, from the forwarder's thread. Fixed from the start.
  [[nodiscard]] virtual bool msi_by_message() const { return false; }
  /// Delivers a message without a route. Must not wait for a thread that is in a call of the
  /// library.
  virtual Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) = 0;

  /// From now on each signal of `eventfd` asserts INTx `pin` (0 = INTA#) of the device that the
  /// guest finds at `guest_address`. At the guest's EOI the line is deasserted and `resample`
  /// signalled. A pin may have several eventfds, armed one by one, each with its own `resample`.
  /// ENOTSUP: the VMM cannot do that (the default).
  virtual Result<void> arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample);
  /// The line is deasserted on return, if that was the last eventfd of all pins that are wired to
  /// it.
  virtual void disarm_intx(Bdf guest_address, unsigned pin, int eventfd);

  /// Whether the VMM wants INTx as levels, because its interrupt controller is its own or its
  /// irqfds do not resample: then `set_intx` is called instead of the two above, and the VMM tells
  /// each EOI by AssignedDevice::end_of_intx. Fixed from the start.
  [[nodiscard]] virtual bool intx_by_level() const { return false; }
  /// Drives INTx `pin` of the device that the guest finds at `guest_address`. Must not call back
  /// into that device, nor wait for a thread that is in a call of the library.
  virtual void set_intx(Bdf guest_address, unsigned pin, bool level) = 0;
};

}  // namespace passthru
