// SPDX-License-Identifier: MIT
// The router's own record of its routes. The lock protects only the map. A route's state needs no
// lock, because calls for the same route do not overlap. What its sink sends has its own lock, so
// that no call waits for a delivery that waits for the call.
#include "irq/forwarding_router.h"

#include <chrono>
#include <utility>

namespace passthru {

class ForwardingRouter::Sent {
 public:
  using Clock = std::chrono::steady_clock;

  /// With `limited`, records `sent_at`.
  Sent(Router& vmm, const MsiMessage& message, uint16_t requester_id, bool limited)
      : vmm_(vmm), requester_id_(requester_id), limited_(limited), message_(message) {}

  void set(const MsiMessage& message) {
    MutexLock lock(mutex_);
    message_ = message;
  }
  void send() {
    MsiMessage message;
    {
      MutexLock lock(mutex_);
      message = message_;
      if (limited_) sent_at_ = Clock::now();
    }
    if (!vmm_.signal_msi(message, requester_id_)) failed_.add();
    sent_.add();
  }
  /// Returns the number of messages, including those that the VMM refused.
  [[nodiscard]] uint64_t sent() const { return sent_.get(); }
  [[nodiscard]] uint64_t failed() const { return failed_.get(); }
  /// Returns the time of the last message, or the clock's epoch before the first.
  [[nodiscard]] Clock::time_point sent_at() {
    MutexLock lock(mutex_);
    return sent_at_;
  }

 private:
  Router& vmm_;
  const uint16_t requester_id_;
  const bool limited_;
  Mutex mutex_;
  MsiMessage message_ PASSTHRU_GUARDED_BY(mutex_);
  Clock::time_point sent_at_ PASSTHRU_GUARDED_BY(mutex_){};
  Counter sent_, failed_;
};

Result<Forwarder*> ForwardingRouter::forwarder() {
  MutexLock lock(mutex_);
  if (!forwarder_) {
    auto made = PASSTHRU_TRY(Forwarder::make());
    PASSTHRU_TRY(made->start_thread());
    forwarder_ = std::move(made);
  }
  return forwarder_.get();
}

Result<void> ForwardingRouter::adopt(std::unique_ptr<Forwarder> forwarder) {
  MutexLock lock(mutex_);
  if (forwarder_) return fail(EBUSY, "adopt a forwarder", "the VM has a forwarder already");
  forwarder_ = std::move(forwarder);
  return {};
}

TraceSlice ForwardingRouter::trace_since(uint64_t from) const {
  MutexLock lock(mutex_);
  return forwarder_ ? forwarder_->trace_since(from) : TraceSlice{};
}

// Adding and erasing other routes does not move an entry of the map.
ForwardingRouter::Route& ForwardingRouter::find(RouteId route) {
  MutexLock lock(mutex_);
  return routes_.at(route);
}

// If the VMM has no routes, the router numbers them itself.
std::vector<Result<RouteId>> ForwardingRouter::number(std::span<const RouteChange> changes) {
  MutexLock lock(mutex_);
  std::vector<Result<RouteId>> numbers;
  numbers.reserve(changes.size());
  for (const RouteChange& change : changes) {
    numbers.emplace_back(change.route ? *change.route : next_++);
  }
  return numbers;
}

std::vector<Result<RouteId>> ForwardingRouter::change_routes(std::span<const RouteChange> changes,
                                                             uint32_t max_per_second) {
  auto answers = vmm_.msi_by_message() ? number(changes) : vmm_.change_routes(changes);
  for (size_t at = 0; at < changes.size(); ++at) {
    const RouteChange& change = changes[at];
    if (!answers[at]) continue;
    if (change.route) {
      find(*change.route).sent->set(change.message);
      continue;
    }
    MutexLock lock(mutex_);
    routes_[*answers[at]] = {.sent = std::make_shared<Sent>(
                                 vmm_, change.message, change.requester_id, max_per_second != 0),
                             .max_per_second = max_per_second};
  }
  return answers;
}

void ForwardingRouter::destroy_route(RouteId route) {
  {
    MutexLock lock(mutex_);
    routes_.erase(route);
  }
  if (!vmm_.msi_by_message()) vmm_.destroy_route(route);
}

Result<bool> ForwardingRouter::arm(RouteId route, int eventfd) {
  Route& armed = find(route);
  if (!vmm_.msi_by_message() && !armed.label && armed.max_per_second == 0) {
    PASSTHRU_TRY(vmm_.arm(route, eventfd));
    return false;
  }
  Forwarder* const way = PASSTHRU_TRY(forwarder());
  // A guest that masks its vector at each interrupt creates a new source each time.
  std::chrono::steady_clock::time_point not_before{};
  if (armed.max_per_second != 0) {
    not_before = armed.sent->sent_at() +
                 std::chrono::nanoseconds(std::chrono::seconds(1)) / armed.max_per_second;
  }
  const SourceId source = PASSTHRU_TRY(
      way->add(eventfd, {.call = [sent = armed.sent](uint64_t) { sent->send(); }},
               // Counted, so that a masked vector has only undelivered signals pending. Otherwise a
               // guest that masks in its handler would never finish.
               {.kind = SourceKind::Counted,
                .max_per_second = armed.max_per_second,
                .not_before = not_before,
                .label = armed.label.value_or(0),
                .observe = armed.label.has_value()}));
  armed.source = source;
  armed.sent_before = armed.sent->sent();
  armed.failed_before = armed.sent->failed();
  return true;
}

std::optional<SourceStats> ForwardingRouter::disarm(RouteId route, int eventfd) {
  Route& armed = find(route);
  auto last = stats(route);
  const auto source = std::exchange(armed.source, std::nullopt);
  if (!source) {
    vmm_.disarm(route, eventfd);
    return std::nullopt;
  }
  if (auto way = forwarder()) (*way)->remove(*source);
  // The forwarder has freed the source; a delivery may have run until now.
  if (last) count_sent(armed, *last);
  return last;
}

void ForwardingRouter::watch(RouteId route, std::optional<uint64_t> label) {
  find(route).label = label;
}

std::optional<SourceStats> ForwardingRouter::stats(RouteId route) {
  const Route& armed = find(route);
  if (!armed.source) return std::nullopt;
  auto way = forwarder();
  auto stats = way ? (*way)->stats(*armed.source) : std::nullopt;
  if (stats) count_sent(armed, *stats);
  return stats;
}

void ForwardingRouter::count_sent(const Route& route, SourceStats& stats) {
  stats.delivered = route.sent->sent() - route.sent_before;
  stats.sink_failed = route.sent->failed() - route.failed_before;
}

}  // namespace passthru
