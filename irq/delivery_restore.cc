// SPDX-License-Identifier: MIT
// What Delivery does after a restore: it signals vectors that may have lost an interrupt, and
// reports those that have none.
#include <algorithm>

#include "irq/delivery.h"

namespace passthru {

// The index was enabled. Until now, all vectors but the new ones were without an interrupt.
void Delivery::replay_after_enable(const VectorSource& source, std::span<const unsigned> is_new) {
  std::vector<unsigned> bound;
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (vectors_.bound(vector)) bound.push_back(vector);
  }
  const RestoreResult result = restorer_.after_bind(bound);
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

// A vector that was without its interrupt may have missed one, so it gets one signal. One that was
// lost is live again if the guest still wants it.
void Delivery::replay_possibly_lost(const VectorSource& source, unsigned vector) {
  ++counters_[vector].added;
  const NextStep next = update_vector(source, vector);
  reroute(vector, 1);
  if (next == NextStep::None) return vectors_.signal(vector);
  states_[vector].pending = true;
  arm_or_report(vector);
}

Result<void> Delivery::apply_restore(const VectorSource& source, const RestoreResult& result) {
  report_restored(result);
  for (unsigned vector : result.vectors) replay_possibly_lost(source, vector);
  if (!result.outcome) latch_lost_vectors(result.outcome.error());
  return result.outcome;
}

void Delivery::report_restored(const RestoreResult& result) {
  if (result.vectors.empty()) return;
  observer_.vectors_restored(static_cast<unsigned>(result.vectors.size()));
  for (unsigned vector : result.vectors) {
    observer_.vector_changed(vector, VectorObserver::Change::Restored);
  }
}

// SET_IRQS has written the entry, whatever was there. An interrupt that was lost before leaves no
// trace.
void Delivery::replay_unseen(unsigned vector) {
  Vector& state = states_[vector];
  const auto now = now_();
  if (state.unseen_signal && now - *state.unseen_signal < kUnseenSignalEvery) return;
  state.unseen_signal = now;
  state.pending = true;
  ++counters_[vector].added;
}

// Reports those of `vectors`, bound a moment ago, that a restore has lost again.
void Delivery::report_lost(std::span<const unsigned> vectors, const Error& error) {
  for (unsigned vector : vectors) {
    if (vectors_.lost(vector)) report_failed(vector, error);
  }
}

void Delivery::latch_lost_vectors(const Error& error) {
  for (unsigned vector = 0; vector < count(); ++vector) {
    if (!vectors_.lost(vector) || !armed(vector)) continue;
    disarm(vector);
    report_failed(vector, error);
  }
}

}  // namespace passthru
