// SPDX-License-Identifier: MIT
// What follows a restore for the vectors of irq/delivery: which of them get a signal for an
// interrupt that may be lost, and which are reported.
#include <algorithm>

#include "irq/delivery.h"

namespace passthru {

// The index was enabled: the interrupts of all vectors but those that are new were away until now.
void Delivery::make_up_for_enabling(const VectorSource& source, std::span<const unsigned> is_new) {
  std::vector<unsigned> bound;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (vectors_.bound(vector)) bound.push_back(vector);
  }
  const Healed healed = restore_.after_bind(bound);
  report_restored(healed);
  for (unsigned vector : bound) {
    const bool was_bound = !std::binary_search(is_new.begin(), is_new.end(), vector);
    const bool restored = std::binary_search(healed.vectors.begin(), healed.vectors.end(), vector);
    if (vectors_.bound(vector) && (was_bound || restored)) make_up(source, vector);
  }
  if (healed.outcome) return;
  quiet_what_was_lost(healed.outcome.error());
  tell_lost(is_new, healed.outcome.error());
}

// A vector that was without its interrupt may have missed one: one signal makes up for it. One that
// was lost is live again if the guest still wants it.
void Delivery::make_up(const VectorSource& source, unsigned vector) {
  ++counts_[vector].added;
  const bool goes_live = settle(source, vector);
  reroute(vector, 1);
  if (!goes_live) return vectors_.signal(vector);
  states_[vector].pending = true;
  arm_or_tell(vector);
}

Result<void> Delivery::take_up(const VectorSource& source, const Healed& healed) {
  report_restored(healed);
  for (unsigned vector : healed.vectors) make_up(source, vector);
  if (!healed.outcome) quiet_what_was_lost(healed.outcome.error());
  return healed.outcome;
}

void Delivery::report_restored(const Healed& healed) {
  if (healed.vectors.empty()) return;
  observer_.vectors_restored(static_cast<unsigned>(healed.vectors.size()));
  for (unsigned vector : healed.vectors) {
    observer_.vector_changed(vector, VectorObserver::Change::Restored);
  }
}

// SET_IRQS has written its entry, whatever was there. An interrupt that was lost before shows
// nowhere.
void Delivery::make_up_unseen(unsigned vector) {
  Vector& state = states_[vector];
  const auto now = now_();
  if (state.unseen_signal && now - *state.unseen_signal < kUnseenSignalEvery) return;
  state.unseen_signal = now;
  state.pending = true;
  ++counts_[vector].added;
}

// Of vectors that were bound a moment ago, those that a restore has lost again.
void Delivery::tell_lost(std::span<const unsigned> vectors, const Error& error) {
  for (unsigned vector : vectors) {
    if (vectors_.lost(vector)) failed(vector, error);
  }
}

void Delivery::quiet_what_was_lost(const Error& error) {
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (!vectors_.lost(vector) || !armed(vector)) continue;
    go_quiet(vector);
    failed(vector, error);
  }
}

}  // namespace passthru
