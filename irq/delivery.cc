// SPDX-License-Identifier: MIT
// The order in which an eventfd changes its owner: Delivery checks the device's entry, creates the
// route, then arms. It disarms before it destroys a route. What fired meanwhile is delivered once.
#include "irq/delivery.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

namespace passthru {

Delivery::Delivery(std::shared_ptr<VfioDevice> device, const PhysicalTable* physical,
                   ForwardingRouter& router, VectorObserver& observer, Options options)
    : router_(router),
      observer_(observer),
      requester_id_(options.requester_id),
      max_per_second_(options.max_per_second),
      now_(std::move(options.now)),
      vectors_(std::move(device), options.irq),
      restorer_(physical, vectors_, std::move(options.wake), std::move(options.pause), now_),
      states_(vectors_.count()),
      counters_(vectors_.count()),
      told_unroutable_(vectors_.count()) {}

void Delivery::sync_vectors(const VectorSource& source, unsigned first, unsigned count) {
  std::vector<unsigned> wanted;
  for (unsigned vector = first; vector < first + count; ++vector) {
    if (update_vector(source, vector) == NextStep::Activate) wanted.push_back(vector);
  }
  reroute(first, count);
  if (!wanted.empty()) activate(source, wanted);
  const uint64_t enables = vectors_.enables();
  if (auto done = vectors_.enable_index(); !done) report_failed(first, done.error());
  if (vectors_.enables() != enables) replay_after_enable(source, {});
}

void Delivery::retranslate(const VectorSource& source, const MessageFilter& filter) {
  std::vector<unsigned> wanted;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (!source.live(vector) || !filter(source.message(vector))) continue;
    if (update_vector(source, vector) == NextStep::Activate) wanted.push_back(vector);
  }
  reroute(0, count());
  if (!wanted.empty()) activate(source, wanted);
}

Result<void> Delivery::watch(unsigned vector, std::optional<uint64_t> label) {
  const auto before = label_of(vector);
  set_label(vector, label);
  if (label == before || !armed(vector)) return {};
  disarm(vector);
  auto done = arm(vector);
  if (done) return {};
  set_label(vector, before);
  arm_or_report(vector);
  return done;
}

void Delivery::set_label(unsigned vector, std::optional<uint64_t> label) {
  if (label) {
    watched_[vector] = *label;
  } else {
    watched_.erase(vector);
  }
  if (const auto route = states_[vector].route) router_.watch(*route, label);
}

std::optional<uint64_t> Delivery::label_of(unsigned vector) const {
  const auto watched = watched_.find(vector);
  return watched == watched_.end() ? std::nullopt : std::optional(watched->second);
}

VectorPhase Delivery::phase(unsigned vector) const {
  if (armed(vector)) return VectorPhase::Armed;
  if (vectors_.lost(vector)) return VectorPhase::Lost;
  if (!routable(vector)) return VectorPhase::Unroutable;
  return vectors_.bound(vector) ? VectorPhase::Latched : VectorPhase::Unbound;
}

// Reads the clock only when a vector changes.
void Delivery::set_masked(unsigned vector, bool masked) {
  Counters& counters = counters_[vector];
  const auto now = now_();
  if (counters.masked_since) counters.masked_for += now - *counters.masked_since;
  counters.masked_since = masked ? std::optional(now) : std::nullopt;
}

// Disarms or frees a vector, or leaves it to `activate`. `reroute` changes the route of a vector
// that stays live.
Delivery::NextStep Delivery::update_vector(const VectorSource& source, unsigned vector) {
  const bool was_armed = armed(vector);
  const bool live = source.live(vector);
  const bool was_masked = counters_[vector].masked_since.has_value();
  if (was_masked == live) {
    set_masked(vector, !live);
    // A guest enables thousands that it never uses: no report for those that were never live.
    if (live || vectors_.bound(vector)) {
      observer_.vector_changed(
          vector, live ? VectorObserver::Change::Unmasked : VectorObserver::Change::Masked);
    }
  }
  if (!live) states_[vector].unroutable.clear();
  const bool delivers = live && translate(vector, source.message(vector));
  if (!delivers && was_armed) disarm(vector);
  if (source.given_up(vector) && vectors_.bound(vector)) free_vector(vector);
  const bool activates = live && !was_armed && (delivers || !vectors_.bound(vector));
  return activates ? NextStep::Activate : NextStep::None;
}

// Frees the vector's host interrupt and its route; both are limited resources. Its neighbours
// notice nothing.
void Delivery::free_vector(unsigned vector) {
  const bool fired = pending(vector);
  if (auto done = vectors_.unbind(vector); !done) return report_failed(vector, done.error());
  if (const auto route = states_[vector].route) router_.destroy_route(*route);
  states_[vector] = Vector{.pending = fired, .failed = states_[vector].failed};
}

bool Delivery::translate(unsigned vector, const MsiMessage& message) {
  Vector& state = states_[vector];
  auto translated = router_.translate(message, requester_id_);
  if (translated) {
    state.wanted = *translated;
    state.unroutable.clear();
    return true;
  }
  const Error& error = translated.error();
  if (state.unroutable.empty()) ++refused_messages_;
  counters_[vector].last_error = error.message();
  state.unroutable = error.cause.empty() ? error.message() : error.cause;
  if (!told_unroutable_[vector]) observer_.vector_failed(vector, error);
  told_unroutable_[vector] = true;
  return false;
}

void Delivery::disarm(unsigned vector) {
  Vector& state = states_[vector];
  if (const auto last = router_.disarm(*state.route, vectors_.eventfd(vector))) {
    auto& sum = counters_[vector].forwarded;
    if (sum) {
      *sum += *last;
    } else {
      sum = last;
    }
  }
  state.owner = EventfdOwner::Latch;
}

void Delivery::activate(const VectorSource& source, std::span<const unsigned> wanted) {
  std::vector<unsigned> unbound;
  for (unsigned vector : wanted) {
    if (!vectors_.bound(vector) && !vectors_.lost(vector)) unbound.push_back(vector);
  }
  bind(source, unbound);
  route_all(wanted);
  Result<void> outcome;
  for (unsigned vector : wanted) {
    const bool is_new = std::binary_search(unbound.begin(), unbound.end(), vector);
    // `bind` or `translate` has reported the others.
    if ((is_new && !vectors_.bound(vector)) || !routable(vector)) continue;
    // The entry of a vector that was bound before is unchecked; SET_IRQS has just written that of a
    // new one. If the index is down, an error for one vector is the error for each.
    if (!is_new && !(vectors_.down() && !outcome)) {
      outcome = apply_restore(source, restorer_.before_enable(vector));
      if (outcome && !restorer_.visible() && !armed(vector)) replay_unseen(vector);
    }
    if (!is_new && !outcome) {
      report_failed(vector, outcome.error());
    } else if (!armed(vector) && routed(vector)) {
      arm_or_report(vector);
    }
  }
}

void Delivery::bind(const VectorSource& source, std::span<const unsigned> wanted) {
  if (wanted.empty()) return;
  const uint64_t enables = vectors_.enables();
  auto done = vectors_.bind(wanted);
  if (!done && done.error().code == ENOSPC) {
    // The host has fewer vectors than the guest wants: those that fit work, the others are
    // reported.
    const Error refused = std::move(done).error();
    size_t fit = 0;
    if (refused.index) {
      fit = static_cast<size_t>(std::distance(
          wanted.begin(), std::lower_bound(wanted.begin(), wanted.end(), *refused.index)));
      done = vectors_.bind(wanted.first(fit));
    } else {
      // Adding to vectors that are enabled, the kernel does not say how many there are.
      done = {};
      while (fit < wanted.size() && vectors_.bind(wanted.subspan(fit, 1))) ++fit;
    }
    for (unsigned vector : wanted.subspan(fit)) report_failed(vector, refused);
    latch_lost_vectors(refused);
    wanted = wanted.first(fit);
  }
  if (!done) {
    for (unsigned vector : wanted) report_failed(vector, done.error());
    latch_lost_vectors(done.error());
    wanted = {};
  }
  for (unsigned vector : wanted) states_[vector].owner = EventfdOwner::Latch;
  if (vectors_.enables() != enables) return replay_after_enable(source, wanted);
  done = apply_restore(source, restorer_.after_bind(wanted));
  if (!done) report_lost(wanted, done.error());
}

void Delivery::arm_or_report(unsigned vector) {
  if (auto armed = arm(vector); !armed) report_failed(vector, armed.error());
}

Result<void> Delivery::arm(unsigned vector) {
  PASSTHRU_TRY(route(vector));
  Vector& state = states_[vector];
  const bool fired = pending(vector);
  const bool forwarded = PASSTHRU_TRY(router_.arm(*state.route, vectors_.eventfd(vector)));
  state.owner = forwarded ? EventfdOwner::Forwarder : EventfdOwner::Irqfd;
  state.failed = false;
  state.pending = false;
  state.unread_since.reset();
  // What fired while masked is delivered once, now (PCI 3.0, 6.8.3.5).
  if (fired) vectors_.signal(vector);
  return {};
}

void Delivery::unroute_all() {
  for (unsigned vector = 0; vector < count(); ++vector) {
    Vector& state = states_[vector];
    if (counters_[vector].masked_since) set_masked(vector, false);
    if (armed(vector)) disarm(vector);
    if (state.route) router_.destroy_route(*state.route);
  }
}

// Takes what has fired before the eventfds are closed.
void Delivery::latch_all() {
  for (unsigned vector = 0; vector < count(); ++vector) {
    const bool fired = pending(vector);
    states_[vector] = Vector{.pending = fired, .failed = states_[vector].failed};
  }
}

void Delivery::release() {
  unroute_all();
  vectors_.disable_all();
  latch_all();
  vectors_.release();
}

void Delivery::reset() {
  release();
  std::fill(states_.begin(), states_.end(), Vector{});
}

void Delivery::report_failed(unsigned vector, const Error& error) {
  counters_[vector].last_error = error.message();
  if (!std::exchange(states_[vector].failed, true)) observer_.vector_failed(vector, error);
}

bool Delivery::pending(unsigned vector) {
  Vector& state = states_[vector];
  if (state.owner == EventfdOwner::Latch && vectors_.drain(vector)) {
    if (!state.pending) ++counters_[vector].latched;
    state.pending = true;
  }
  return state.pending;
}

}  // namespace passthru
