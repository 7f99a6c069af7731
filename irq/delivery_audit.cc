// SPDX-License-Identifier: MIT
// Owns what is asked of vectors that already have their owners: whether one is damaged, whether one
// is there that nobody reads, and what there is to tell of each.
#include <algorithm>
#include <cerrno>

#include "irq/delivery.h"

namespace passthru {

Result<uint32_t> Delivery::audit(const VectorSource& source) {
  const uint32_t rearmed = rearm_stalled(source);
  const RestoreResult restored = restore_.audit();
  PASSTHRU_TRY(apply_restore(source, restored));
  return static_cast<uint32_t>(restored.vectors.size()) + rearmed;
}

// Live vectors whose counters have not been taken for a while, though the VMM takes each where it
// is signalled.
std::vector<unsigned> Delivery::unread() {
  std::vector<unsigned> live;
  if (!router_.vmm().takes_signals_at_once()) return live;
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
    const Vector& state = states_[vector];
    const bool refused = state.failed && state.unroutable.empty() && vectors_.bound(vector);
    if (refused && !armed(vector) && source.live(vector)) wanted.push_back(vector);
  }
  route_all(wanted);
  uint32_t armed_now = 0;
  for (const unsigned vector : wanted) {
    if (routed(vector)) arm_or_report(vector);
    if (!armed(vector)) continue;
    ++armed_now;
    ++rearms_;
    ++counts_[vector].rearmed;
    observer_.vector_changed(vector, VectorObserver::Change::Restored);
  }
  if (armed_now != 0) observer_.vectors_restored(armed_now);
  return armed_now;
}

Result<void> Delivery::trigger(unsigned vector) {
  if (vector >= count() || !vectors_.bound(vector)) {
    return fail(EINVAL, "trigger a vector", "it has no interrupt of the host now");
  }
  PASSTHRU_TRY(vectors_.trigger(vector));
  ++counts_[vector].added;
  return {};
}

std::optional<SourceStats> Delivery::forwarded(unsigned vector) {
  const std::optional<SourceStats>& before = counts_[vector].forwarded;
  if (states_[vector].owner != EventfdOwner::Forwarder) return before;
  auto sum = router_.stats(states_[vector].route);
  if (sum && before) *sum += *before;
  return sum ? sum : before;
}

uint64_t Delivery::delivered(unsigned vector, uint64_t interrupts) {
  const bool always_forwarded = router_.vmm().msi_by_message() || max_per_second_ != 0;
  if (!always_forwarded) return interrupts + counts_[vector].added;
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
    const Counts& counts = counts_[vector];
    const auto masked_now = counts.masked_since ? now_() - *counts.masked_since : Clock::duration{};
    states.push_back({.vector = vector,
                      .pending = fired,
                      .bound = vectors_.bound(vector),
                      .owner = states_[vector].owner,
                      .message = source.message(vector),
                      .interrupts = interrupts[vector],
                      .delivered = delivered(vector, interrupts[vector]),
                      .restores = restore_.count(vector),
                      .rearms = counts.rearmed,
                      .rebinds = vectors_.rebinds(vector),
                      .latched = counts.latched,
                      .masked_for = counts.masked_for + masked_now,
                      .last_error = counts.last_error,
                      .forwarded = forwarded(vector),
                      .unroutable = states_[vector].unroutable});
    VectorState& state = states.back();
    state.unread = std::binary_search(unread_now.begin(), unread_now.end(), vector);
    state.signalled = states_[vector].unread_since.has_value();
    if (!state.bound) continue;
    state.last_sound = restore_.last_sound(vector);
    state.in_device = restore_.look(vector);
  }
  return states;
}

}  // namespace passthru
