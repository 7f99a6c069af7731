// SPDX-License-Identifier: MIT
// Delivery of a device that goes from one process to another while it runs. The index stays
// enabled, so that the device keeps MSI-X and does not fall back to INTx, which has no handler
// then.
#include "irq/delivery.h"

namespace passthru {

// In this order no interrupt is lost that fires while the eventfds are bound: the VMM has delivered
// it, or the counter holds it until `latch_all`.
void Delivery::leave(Leave how) {
  unroute_all();
  if (how == Leave::Unbound) vectors_.unbind_all();
  latch_all();
  vectors_.leave();
}

void Delivery::go_on(const VectorSource& source, unsigned count, unsigned allocated) {
  if (!source.enabled()) return;
  for (unsigned vector = 0; vector < count; ++vector) {
    if (source.live(vector)) set_pending(vector);
  }
  vectors_.inherit(allocated);
  sync_vectors(source, 0, count);
  for (unsigned vector = 0; vector < count; ++vector) {
    if (!source.live(vector) || vectors_.bound(vector)) continue;
    // The kernel did not take over what the other process left, and the index was disabled.
    return sync_vectors(source, 0, count);
  }
}

void Delivery::set_pending(unsigned vector) {
  if (!states_[vector].pending) ++counters_[vector].added;
  states_[vector].pending = true;
}

}  // namespace passthru
