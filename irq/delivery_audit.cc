// SPDX-License-Identifier: MIT
// Checks of vectors that are bound already: damaged entries, signals that nothing takes, and the
// state of each.
#include <algorithm>
#include <cerrno>

#include "irq/delivery.h"

namespace passthru {

Result<uint32_t> Delivery::audit(const VectorSource& source) {
  const uint32_t rearmed = rearm_stalled(source);
  const RestoreResult result = restorer_.audit();
  PASSTHRU_TRY(apply_restore(source, result));
  return static_cast<uint32_t>(result.vectors.size()) + rearmed;
}

// Returns live vectors whose counters have stayed above 0 for a while, though the VMM takes each
// counter within the call that signals it.
std::vector<unsigned> Delivery::unread() {
  std::vector<unsigned> live;
  if (!router_.takes_signals_at_once()) return live;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (states_[vector].owner == EventfdOwner::Irqfd) live.push_back(vector);
  }
  const auto signalled = live.empty() ? live : vectors_.signalled(live);
  const auto now = now_();
  std::vector<unsigned> unread;
  for (const unsigned vector : live) {
    auto& since = states_[vector].unread_since;
    if (!std::binary_search(signalled.begin(), signalled.end(), vector)) {
      since.reset();
    } else if (!since) {
      since = now;
    } else if (now - *since >= kUnreadFor) {
      unread.push_back(vector);
    }
  }
  return unread;
}

uint32_t Delivery::rearm_stalled(const VectorSource& source) {
  std::vector<unsigned> wanted = unread();
  for (const unsigned vector : wanted) disarm(vector);
  for (unsigned vector = 0; vector < count(); ++vector) {
    const bool refused = states_[vector].failed && phase(vector) == VectorPhase::Latched;
    if (refused && source.live(vector)) wanted.push_back(vector);
  }
  route_all(wanted);
  uint32_t armed_now = 0;
  for (const unsigned vector : wanted) {
    if (routed(vector)) arm_or_report(vector);
    if (!armed(vector)) continue;
    ++armed_now;
    ++rearms_;
    ++counters_[vector].rearms;
    observer_.vector_changed(vector, VectorObserver::Change::Restored);
  }
  if (armed_now != 0) observer_.vectors_restored(armed_now);
  return armed_now;
}

Result<void> Delivery::trigger(unsigned vector) {
  if (vector >= count() || !vectors_.bound(vector)) {
    return fail(EINVAL, "trigger a vector", "the vector has no host interrupt now");
  }
  PASSTHRU_TRY(vectors_.trigger(vector));
  ++counters_[vector].added;
  return {};
}

std::optional<SourceStats> Delivery::forwarded(unsigned vector) {
  const std::optional<SourceStats>& before = counters_[vector].forwarded;
  if (states_[vector].owner != EventfdOwner::Forwarder) return before;
  auto sum = router_.stats(*states_[vector].route);
  if (sum && before) *sum += *before;
  return sum ? sum : before;
}

uint64_t Delivery::delivered(unsigned vector, uint64_t interrupts) {
  const bool always_forwarded = router_.forwards_all() || max_per_second_ != 0;
  if (!always_forwarded) return interrupts + counters_[vector].added;
  const auto sent = forwarded(vector);
  return sent ? sent->delivered - sent->sink_failed : 0;
}

uint64_t Delivery::delivered(const InterruptCounts& seen) {
  const auto interrupts = vectors_.interrupts(seen);
  uint64_t sum = 0;
  for (unsigned vector = 0; vector < count(); ++vector) {
    sum += delivered(vector, interrupts[vector]);
  }
  return sum;
}

std::vector<VectorState> Delivery::inspect(const VectorSource& source,
                                           const InterruptCounts& seen) {
  const auto interrupts = vectors_.interrupts(seen);
  const auto unread_now = unread();
  std::vector<VectorState> states;
  states.reserve(count());
  for (unsigned vector = 0; vector < count(); ++vector) {
    const bool fired = pending(vector);
    const Counters& counters = counters_[vector];
    const auto masked_now =
        counters.masked_since ? now_() - *counters.masked_since : Clock::duration{};
    VectorState& state = states.emplace_back(VectorState{counters});
    state.index = vector;
    state.masked = source.masked(vector);
    state.pending = fired;
    state.bound = vectors_.bound(vector);
    state.phase = phase(vector);
    state.owner = states_[vector].owner;
    state.guest_message = source.message(vector);
    state.unroutable = states_[vector].unroutable;
    state.interrupts = interrupts[vector];
    state.delivered = delivered(vector, interrupts[vector]);
    state.restores = restorer_.count(vector);
    state.rebinds = vectors_.rebinds(vector);
    state.forwarded = forwarded(vector);
    state.masked_ns = static_cast<uint64_t>((counters.masked_for + masked_now).count());
    state.unread = std::binary_search(unread_now.begin(), unread_now.end(), vector);
    state.signalled = states_[vector].unread_since.has_value();
    if (!state.bound) continue;
    state.last_sound = restorer_.last_sound(vector);
    state.in_device = restorer_.look(vector);
  }
  return states;
}

InterruptCounters Delivery::counters() const {
  return {.set_irqs_calls = vectors_.set_irqs_calls(),
          .restores = restorer_.count(),
          .rearms = rearms_,
          .damages = restorer_.damages(),
          .refused_messages = refused_messages_};
}

}  // namespace passthru
