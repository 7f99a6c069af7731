// SPDX-License-Identifier: MIT
// The routes of irq/delivery's vectors in the VMM. All that one access of the guest changes goes to
// the VMM together, because a change of one route may cost as much as a change of all.
#include <utility>

#include "irq/delivery.h"

namespace passthru {

RouteChange Delivery::route_change(unsigned vector) const {
  const Vector& state = states_[vector];
  return {.route = state.has_route ? std::optional(state.route) : std::nullopt,
          .message = state.wanted,
          .requester_id = requester_id_};
}

Result<void> Delivery::take_route(unsigned vector, const Result<RouteId>& answer) {
  if (!answer) return tl::unexpected(answer.error());
  Vector& state = states_[vector];
  state.route = *answer;
  state.routed = state.wanted;
  if (std::exchange(state.has_route, true)) return {};
  if (const auto label = label_of(vector)) router_.watch(state.route, label);
  return {};
}

Result<void> Delivery::route(unsigned vector) {
  if (routed(vector)) return {};
  const RouteChange change = route_change(vector);
  return take_route(vector, router_.change_routes({&change, 1}, max_per_second_).front());
}

// A vector without a host interrupt needs no route. One whose route the VMM refuses is reported,
// and not live.
void Delivery::route_all(std::span<const unsigned> vectors) {
  std::vector<unsigned> changed;
  std::vector<RouteChange> changes;
  for (unsigned vector : vectors) {
    const bool interrupts = vectors_.bound(vector) || vectors_.lost(vector);
    if (!interrupts || !states_[vector].unroutable.empty() || routed(vector)) continue;
    changed.push_back(vector);
    changes.push_back(route_change(vector));
  }
  if (changes.empty()) return;
  const auto answers = router_.change_routes(changes, max_per_second_);
  for (size_t at = 0; at < changed.size(); ++at) {
    const auto done = take_route(changed[at], answers[at]);
    if (done) continue;
    // The route still carries the old message, which may be another's by now.
    if (armed(changed[at])) disarm(changed[at]);
    failed(changed[at], done.error());
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
