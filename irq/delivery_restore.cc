// SPDX-License-Identifier: MIT
// What follows a restore for the vectors of irq/delivery: which of them get a signal for an
// interrupt that may be lost, and which are reported.
#include <algorithm>

#include "irq/delivery.h"

namespace passthru {

// The index was enabled: the interrupts of all vectors but those that are new were away until now.
void Delivery::replay_after_enable(const VectorSource& source, std::span<const unsigned> is_new) {
  std::vector<unsigned> bound;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (vectors_.bound(vector)) bound.push_back(vector);
  }
  const RestoreResult result = restore_.after_bind(bound);
  report_restored(result);
  for (unsigned vector : bound) {
    const bool was_bound = !std::binary_search(is_new.begin(), is_new.end(), vector);
    const bool restored = std::binary_search(result.vectors.begin(), result.vectors.end(), vector);
    if (vectors_.bound(vector) && (was_bound || restored)) replay_possibly_lost(source, vector);
  }
  if (result.outcome) return;
  latch_lost_vectors(result.outcome.error());
  report_lost(is_new, result.outcome.error());
}

// A vector that was without its interrupt may have missed one: one signal makes up for it. One that
// was lost is live again if the guest still wants it.
void Delivery::replay_possibly_lost(const VectorSource& source, unsigned vector) {
  ++counts_[vector].added;
  const bool goes_live = update_vector(source, vector);
  reroute(vector, 1);
  if (!goes_live) return vectors_.signal(vector);
  states_[vector].pending = true;
  arm_or_report(vector);
}

Result<void> Delivery::apply_restore(const VectorSource& source, const RestoreResult& restored) {
  report_restored(restored);
  for (unsigned vector : restored.vectors) replay_possibly_lost(source, vector);
  if (!restored.outcome) latch_lost_vectors(restored.outcome.error());
  return restored.outcome;
}

void Delivery::report_restored(const RestoreResult& restored) {
  if (restored.vectors.empty()) return;
  observer_.vectors_restored(static_cast<unsigned>(restored.vectors.size()));
  for (unsigned vector : restored.vectors) {
    observer_.vector_changed(vector, VectorObserver::Change::Restored);
  }
}

// SET_IRQS has written its entry, whatever was there. An interrupt that was lost before shows
// nowhere.
void Delivery::replay_unseen(unsigned vector) {
  Vector& state = states_[vector];
  const auto now = now_();
  if (state.unseen_signal && now - *state.unseen_signal < kUnseenSignalEvery) return;
  state.unseen_signal = now;
  state.pending = true;
  ++counts_[vector].added;
}

// Of vectors that were bound a moment ago, those that a restore has lost again.
void Delivery::report_lost(std::span<const unsigned> vectors, const Error& error) {
  for (unsigned vector : vectors) {
    if (vectors_.lost(vector)) failed(vector, error);
  }
}

void Delivery::latch_lost_vectors(const Error& error) {
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (!vectors_.lost(vector) || !armed(vector)) continue;
    disarm(vector);
    failed(vector, error);
  }
}

}  // namespace passthru
