// SPDX-License-Identifier: MIT
// The routes of Delivery's vectors in the VMM. All changes of one guest access go to the VMM
// together, because a change of one route may cost as much as a change of all.
#include <utility>

#include "irq/delivery.h"

namespace passthru {

RouteChange Delivery::route_change(unsigned vector) const {
  const Vector& state = states_[vector];
  return {.route = state.route, .message = state.wanted, .requester_id = requester_id_};
}

Result<void> Delivery::take_route(unsigned vector, const Result<RouteId>& answer) {
  if (!answer) return tl::unexpected(answer.error());
  Vector& state = states_[vector];
  state.routed = state.wanted;
  if (std::exchange(state.route, *answer)) return {};
  if (const auto label = label_of(vector)) router_.watch(*answer, label);
  return {};
}

Result<void> Delivery::route(unsigned vector) {
  if (routed(vector)) return {};
  const RouteChange change = route_change(vector);
  return take_route(vector, router_.change_routes({&change, 1}, max_per_second_).front());
}

// Skips vectors without a host interrupt. Reports and disarms those whose routes the VMM refuses.
void Delivery::route_all(std::span<const unsigned> vectors) {
  std::vector<unsigned> changed;
  std::vector<RouteChange> changes;
  for (unsigned vector : vectors) {
    const bool interrupts = vectors_.bound(vector) || vectors_.lost(vector);
    if (!interrupts || !routable(vector) || routed(vector)) continue;
    changed.push_back(vector);
    changes.push_back(route_change(vector));
  }
  if (changes.empty()) return;
  const auto answers = router_.change_routes(changes, max_per_second_);
  for (size_t at = 0; at < changed.size(); ++at) {
    const auto done = take_route(changed[at], answers[at]);
    if (done) continue;
    // The route still carries the old message, which by now may belong to another device.
    if (armed(changed[at])) disarm(changed[at]);
    report_failed(changed[at], done.error());
  }
}

// Gives live vectors their newest messages.
void Delivery::reroute(unsigned first, unsigned count) {
  std::vector<unsigned> live;
  for (unsigned vector = first; vector < first + count; ++vector) {
    if (armed(vector) && !routed(vector)) live.push_back(vector);
  }
  route_all(live);
}

}  // namespace passthru
