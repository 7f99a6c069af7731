// SPDX-License-Identifier: MIT
// Owns which way a vector's signals take to the guest: straight to the VMM's irqfd, or through the
// forwarder, because the VMM has no irqfd, somebody watches, or there may only be so many. One for
// each VM, used by all its devices.
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

/// The calls of Router, for what arms vectors: same contract, except that calls for one route do
/// not overlap. Calls for different routes may come from different threads.
class ForwardingRouter {
 public:
  /// `vmm` outlives this.
  explicit ForwardingRouter(Router& vmm) : vmm_(vmm) {}

  [[nodiscard]] Router& vmm() { return vmm_; }
  /// Made with a thread of its own when first asked for, unless the VMM gave its own. Errors: those
  /// of Forwarder::make and start_thread.
  Result<Forwarder*> forwarder() PASSTHRU_EXCLUDES(mutex_);
  /// The VMM's own, which a loop of the VMM drives. EBUSY: there is one already.
  Result<void> adopt(std::unique_ptr<Forwarder> forwarder) PASSTHRU_EXCLUDES(mutex_);
  /// The newest deliveries of watched routes by their labels, oldest first.
  [[nodiscard]] std::vector<TraceEntry> trace() const { return trace_since(0).entries; }
  /// Those numbered `from` and above, counted from the first that there ever was.
  [[nodiscard]] TraceSlice trace_since(uint64_t from) const PASSTHRU_EXCLUDES(mutex_);

  /// `max_per_second`: with a limit the new routes pass through the forwarder, which keeps it
  /// (SourceOptions::max_per_second); 0: none.
  std::vector<Result<RouteId>> change_routes(std::span<const RouteChange> changes,
                                             uint32_t max_per_second = 0) PASSTHRU_EXCLUDES(mutex_);
  void destroy_route(RouteId route) PASSTHRU_EXCLUDES(mutex_);
  /// A counter that is not 0 is delivered at once. Returns whether the forwarder delivers.
  Result<bool> arm(RouteId route, int eventfd) PASSTHRU_EXCLUDES(mutex_);
  /// The counter is the caller's again: not 0 if there is a signal that was not delivered. Returns
  /// what `stats` returns after the last delivery.
  std::optional<SourceStats> disarm(RouteId route, int eventfd) PASSTHRU_EXCLUDES(mutex_);

  /// From the next `arm` on: passes through the forwarder, timed and traced by `label`; or with
  /// nullopt takes the straight way again, if it has one.
  void watch(RouteId route, std::optional<uint64_t> label) PASSTHRU_EXCLUDES(mutex_);
  /// Since it was armed; none unless it is and passes through the forwarder.
  [[nodiscard]] std::optional<SourceStats> stats(RouteId route) PASSTHRU_EXCLUDES(mutex_);

 private:
  /// What the sink of a route sends; changes while it does.
  class Sent;
  struct Route {
    std::shared_ptr<Sent> sent;
    uint32_t max_per_second = 0;
    std::optional<uint64_t> label{};
    std::optional<SourceId> source{};  ///< while armed through the forwarder
    uint64_t sent_before = 0;          ///< messages, until it was armed
    uint64_t failed_before = 0;        ///< of these, those that the VMM refused
  };
  Route& find(RouteId route) PASSTHRU_EXCLUDES(mutex_);
  std::vector<Result<RouteId>> number(std::span<const RouteChange> changes)
      PASSTHRU_EXCLUDES(mutex_);
  static void count_sent(const Route& route, SourceStats& stats);

  Router& vmm_;
  mutable Mutex mutex_;
  std::map<RouteId, Route> routes_ PASSTHRU_GUARDED_BY(mutex_);
  RouteId next_ PASSTHRU_GUARDED_BY(mutex_) = 0;  ///< where the VMM has no routes
  std::unique_ptr<Forwarder> forwarder_ PASSTHRU_GUARDED_BY(mutex_);
};

}  // namespace passthru
