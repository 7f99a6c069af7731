// SPDX-License-Identifier: MIT
// The path of a vector's signals to the guest: straight to the VMM's irqfd, or through the
// forwarder. The forwarder is used if the VMM has no irqfd, if the vector is watched, or if its
// rate is limited. Each VM has one router for all its devices.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "irq/forward/forwarder.h"
#include "irq/router.h"

namespace passthru {

/// The calls of Router, for the code that arms vectors. The contract is the same, except that calls
/// for the same route must not overlap. Calls for different routes may come from different threads.
class ForwardingRouter {
 public:
  /// `vmm` outlives this object.
  explicit ForwardingRouter(Router& vmm) : vmm_(vmm) {}

  /// Router::translate.
  Result<MsiMessage> translate(const MsiMessage& message, uint16_t requester_id) {
    return vmm_.translate(message, requester_id);
  }
  /// Router::takes_signals_at_once.
  [[nodiscard]] bool takes_signals_at_once() const { return vmm_.takes_signals_at_once(); }
  /// Returns whether the forwarder delivers every interrupt, because the VMM has no irqfd.
  [[nodiscard]] bool forwards_all() const { return vmm_.msi_by_message(); }
  /// Returns the calls for INTx, which need no forwarder.
  [[nodiscard]] Router& intx() { return vmm_; }
  /// Returns the VM's forwarder. The first call creates it with a thread of its own, unless the VMM
  /// passed its own to `adopt`. Errors: those of Forwarder::make and Forwarder::start_thread.
  Result<Forwarder*> forwarder() PASSTHRU_EXCLUDES(mutex_);
  /// Takes a forwarder that a loop of the VMM drives.
  /// Errors:
  /// - EBUSY: the VM has a forwarder already.
  Result<void> adopt(std::unique_ptr<Forwarder> forwarder) PASSTHRU_EXCLUDES(mutex_);
  /// Returns the newest deliveries of watched routes with their labels, oldest first.
  [[nodiscard]] std::vector<TraceEntry> trace() const { return trace_since(0).entries; }
  /// Returns the entries with sequence number `from` or higher; the first entry ever has number 0.
  [[nodiscard]] TraceSlice trace_since(uint64_t from) const PASSTHRU_EXCLUDES(mutex_);

  /// Router::change_routes. If `max_per_second` is not 0, the new routes pass through the
  /// forwarder, which limits their rate (SourceOptions::max_per_second).
  std::vector<Result<RouteId>> change_routes(std::span<const RouteChange> changes,
                                             uint32_t max_per_second = 0) PASSTHRU_EXCLUDES(mutex_);
  void destroy_route(RouteId route) PASSTHRU_EXCLUDES(mutex_);
  /// Router::arm. Delivers at once if the counter is not 0. Returns whether the forwarder delivers.
  Result<bool> arm(RouteId route, int eventfd) PASSTHRU_EXCLUDES(mutex_);
  /// Gives the counter back to the caller; it is not 0 if a signal is undelivered. Returns what
  /// `stats` returns after the last delivery.
  std::optional<SourceStats> disarm(RouteId route, int eventfd) PASSTHRU_EXCLUDES(mutex_);

  /// Sets whether the route is watched, from the next `arm` on. With a `label`, the forwarder
  /// delivers, times and traces it. With nullopt, the route bypasses the forwarder again, if the
  /// VMM has irqfds.
  void watch(RouteId route, std::optional<uint64_t> label) PASSTHRU_EXCLUDES(mutex_);
  /// Returns counts since the route was armed, or nullopt if it is not armed through the forwarder.
  [[nodiscard]] std::optional<SourceStats> stats(RouteId route) PASSTHRU_EXCLUDES(mutex_);

 private:
  /// What the sink of a route sends; the message may change while the sink sends.
  class Sent;
  struct Route {
    std::shared_ptr<Sent> sent;
    uint32_t max_per_second = 0;
    std::optional<uint64_t> label{};
    std::optional<SourceId> source{};  ///< while armed through the forwarder
    uint64_t sent_before = 0;          ///< messages sent before it was armed
    uint64_t failed_before = 0;        ///< of these, messages that the VMM refused
  };
  Route& find(RouteId route) PASSTHRU_EXCLUDES(mutex_);
  std::vector<Result<RouteId>> number(std::span<const RouteChange> changes)
      PASSTHRU_EXCLUDES(mutex_);
  static void count_sent(const Route& route, SourceStats& stats);

  Router& vmm_;
  mutable Mutex mutex_;
  std::map<RouteId, Route> routes_ PASSTHRU_GUARDED_BY(mutex_);
  RouteId next_ PASSTHRU_GUARDED_BY(mutex_) = 0;  ///< used if the VMM has no routes
  std::unique_ptr<Forwarder> forwarder_ PASSTHRU_GUARDED_BY(mutex_);
};

}  // namespace passthru
