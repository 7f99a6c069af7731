// SPDX-License-Identifier: MIT
// Owns the order in which a vector changes hands: route before irqfd, irqfd before route, look at
// the device's entry before either, and whatever fired meanwhile delivered once.
#include "irq/delivery.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace passthru {

Delivery::Delivery(std::shared_ptr<VfioDevice> device, const PhysicalTable* physical,
                   Router& router, VectorObserver& observer, Options options)
    : router_(router),
      observer_(observer),
      requester_id_(options.requester_id),
      vectors_(std::move(device), options.irq),
      restore_(physical, vectors_, std::move(options.wake)),
      states_(vectors_.count()),
      told_unroutable_(vectors_.count()) {}

void Delivery::bring(const VectorSource& source, unsigned first, unsigned count) {
  std::vector<unsigned> wanted;
  for (unsigned vector = first; vector < first + count; ++vector) {
    if (settle(source, vector)) wanted.push_back(vector);
  }
  if (!wanted.empty()) go_live(wanted);
  if (auto done = vectors_.enable_index(); !done) failed(first, done.error());
}

void Delivery::retranslate(const VectorSource& source, const Concerns& concerns) {
  std::vector<unsigned> wanted;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (!source.live(vector) || !concerns(source.message(vector))) continue;
    if (settle(source, vector)) wanted.push_back(vector);
  }
  if (!wanted.empty()) go_live(wanted);
}

// Brings a vector to where it should be, unless go_live has to: returns whether.
bool Delivery::settle(const VectorSource& source, unsigned vector) {
  const bool armed = states_[vector].owner == EventfdOwner::Irqfd;
  const bool live = source.live(vector);
  if (!live) states_[vector].unroutable.clear();
  const bool delivers = live && translate(vector, source.message(vector));
  if (!delivers && armed) go_quiet(vector);
  if (delivers && armed) {
    if (auto done = route(vector); !done) {
      go_quiet(vector);  // the route still carries the old message, which may be another's by now
      failed(vector, done.error());
    }
  }
  return live && !armed && (delivers || !vectors_.bound(vector));
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
  state.unroutable = error.cause.empty() ? error.message() : error.cause;
  if (!told_unroutable_[vector]) observer_.vector_failed(vector, error);
  told_unroutable_[vector] = true;
  return false;
}

void Delivery::go_quiet(unsigned vector) {
  router_.disarm(states_[vector].route, vectors_.eventfd(vector));
  states_[vector].owner = EventfdOwner::Latch;
}

void Delivery::go_live(std::span<const unsigned> wanted) {
  std::vector<unsigned> unbound;
  for (unsigned vector : wanted) {
    if (!vectors_.bound(vector)) unbound.push_back(vector);
  }
  bind(unbound);
  for (unsigned vector : wanted) {
    // Reported by bind, or by translate.
    if (!vectors_.bound(vector) || !states_[vector].unroutable.empty()) continue;
    const bool is_new = std::binary_search(unbound.begin(), unbound.end(), vector);
    if (auto done = is_new ? Result<void>{} : restore(vector); !done) {
      failed(vector, done.error());
      quiet_what_was_lost(done.error());
    } else if (auto armed = arm(vector); !armed) {
      failed(vector, armed.error());
    }
  }
}

// A vector bound before has been out of sight; one bound now has the host's newest message.
Result<void> Delivery::restore(unsigned vector) {
  signal_restored(PASSTHRU_TRY(restore_.before_enable(vector)));
  return {};
}

void Delivery::bind(std::span<const unsigned> wanted) {
  if (wanted.empty()) return;
  auto cycled = vectors_.bind(wanted);
  if (!cycled && cycled.error().code == ENOSPC) {
    // The host has fewer vectors than the guest wants: those that fit work, the others are
    // reported.
    const unsigned available = cycled.error().index.value_or(0);
    const auto fit = static_cast<size_t>(
        std::distance(wanted.begin(), std::lower_bound(wanted.begin(), wanted.end(), available)));
    for (unsigned vector : wanted.subspan(fit)) failed(vector, cycled.error());
    wanted = wanted.first(fit);
    cycled = vectors_.bind(wanted);
  }
  if (!cycled) {
    for (unsigned vector : wanted) failed(vector, cycled.error());
    return quiet_what_was_lost(cycled.error());
  }
  for (unsigned vector : wanted) states_[vector].owner = EventfdOwner::Latch;
  if (!*cycled) return restore_.remember(wanted);

  // The cycle took the other vectors' interrupts away for a moment: one signal each makes up for
  // it.
  restore_.remember_all_bound();
  for (unsigned vector = 0; vector < count(); ++vector) {
    const bool is_new = std::binary_search(wanted.begin(), wanted.end(), vector);
    if (vectors_.bound(vector) && !is_new) vectors_.signal(vector);
  }
}

void Delivery::quiet_what_was_lost(const Error& error) {
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (vectors_.bound(vector) || states_[vector].owner != EventfdOwner::Irqfd) continue;
    go_quiet(vector);
    failed(vector, error);
  }
}

Result<void> Delivery::arm(unsigned vector) {
  PASSTHRU_TRY(route(vector));
  Vector& state = states_[vector];
  const bool fired = pending(vector);
  PASSTHRU_TRY(router_.arm(state.route, vectors_.eventfd(vector)));
  state.owner = EventfdOwner::Irqfd;
  state.failed = false;
  state.pending = false;
  // What fired while masked is delivered once, now (PCI 3.0, 6.8.3.5).
  if (fired) vectors_.signal(vector);
  return {};
}

Result<void> Delivery::route(unsigned vector) {
  Vector& state = states_[vector];
  if (state.has_route && state.routed == state.wanted) return {};
  if (state.has_route) {
    PASSTHRU_TRY(router_.update_route(state.route, state.wanted));
  } else {
    state.route = PASSTHRU_TRY(router_.create_route(state.wanted, requester_id_));
    state.has_route = true;
  }
  state.routed = state.wanted;
  return {};
}

void Delivery::release() {
  for (unsigned vector = 0; vector < count(); ++vector) {
    Vector& state = states_[vector];
    if (state.owner == EventfdOwner::Irqfd) go_quiet(vector);
    if (state.has_route) router_.destroy_route(state.route);
    const bool fired = pending(vector);
    state = Vector{.pending = fired};
  }
  vectors_.release();
}

void Delivery::reset() {
  release();
  std::fill(states_.begin(), states_.end(), Vector{});
}

Result<uint32_t> Delivery::audit() {
  auto restored = restore_.audit();
  if (!restored) {
    quiet_what_was_lost(restored.error());
    return tl::unexpected(std::move(restored).error());
  }
  signal_restored(*restored);
  return static_cast<uint32_t>(restored->size());
}

void Delivery::signal_restored(const Restored& restored) {
  for (unsigned vector : restored) vectors_.signal(vector);
  if (!restored.empty()) observer_.vectors_restored(static_cast<unsigned>(restored.size()));
}

void Delivery::failed(unsigned vector, const Error& error) {
  if (!std::exchange(states_[vector].failed, true)) observer_.vector_failed(vector, error);
}

bool Delivery::pending(unsigned vector) {
  Vector& state = states_[vector];
  if (state.owner == EventfdOwner::Latch && vectors_.drain(vector)) state.pending = true;
  return state.pending;
}

std::vector<VectorState> Delivery::inspect(const VectorSource& source) {
  const auto interrupts = vectors_.interrupts();
  std::vector<VectorState> states;
  states.reserve(count());
  for (unsigned vector = 0; vector < count(); ++vector) {
    states.push_back({.vector = vector,
                      .pending = pending(vector),
                      .bound = vectors_.bound(vector),
                      .owner = states_[vector].owner,
                      .message = source.message(vector),
                      .interrupts = interrupts[vector],
                      .restores = restore_.count(vector),
                      .unroutable = states_[vector].unroutable});
  }
  return states;
}

}  // namespace passthru
