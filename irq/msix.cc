// SPDX-License-Identifier: MIT
#include "irq/msix.h"

#include <algorithm>
#include <utility>

namespace passthru {

Msix::Msix(const std::shared_ptr<VfioDevice>& device, const MsixLayout& layout,
           ForwardingRouter& router, VectorObserver& observer, Options options)
    : MessageInterrupts(device, std::make_unique<const PhysicalTable>(device, layout), router,
                        observer,
                        {.irq = Irq::Msix,
                         .requester_id = options.requester_id,
                         .max_per_second = options.max_per_second,
                         .wake = std::move(options.wake),
                         .pause = std::move(options.pause),
                         .now = std::move(options.now)}),
      table_(device->irq(Irq::Msix).count) {}

void Msix::write_control(uint16_t value) {
  MutexLock lock(vectors_mutex_);
  const auto touched = table_.write_control(value);
  if (table_.enabled()) {
    apply(touched);
  } else {
    delivery_.release();
  }
}

void Msix::apply(MsixTable::Touched touched) {
  if (table_.enabled()) delivery_.sync_vectors(table_, touched.first, touched.count);
}

void Msix::reset() {
  MutexLock lock(vectors_mutex_);
  delivery_.reset();
  table_.reset();
}

SavedMsix Msix::leave() {
  MutexLock lock(vectors_mutex_);
  SavedMsix saved{.allocated = delivery_.allocated()};
  delivery_.leave(Delivery::Leave::Unbound);
  for (unsigned vector = 0; vector < table_.vectors(); ++vector) {
    saved.vectors.push_back({.entry = table_.entry(vector),
                             .in_force = table_.message(vector),
                             .pending = delivery_.pending(vector)});
  }
  return saved;
}

void Msix::load(const SavedMsix& saved, uint16_t control) {
  MutexLock lock(vectors_mutex_);
  const size_t vectors = std::min<size_t>(saved.vectors.size(), table_.vectors());
  for (unsigned vector = 0; vector < vectors; ++vector) {
    const SavedVector& each = saved.vectors[vector];
    table_.load(vector, each.entry, each.in_force);
    if (each.pending) delivery_.set_pending(vector);
  }
  table_.load_control(control);
  delivery_.go_on(table_, table_.vectors(), saved.allocated);
  delivery_.allocate_at_least(0);
}

uint64_t Msix::pending_word(unsigned word) {
  uint64_t bits = 0;
  uint64_t unbound = 0;
  const unsigned first = word * 64;
  for (unsigned bit = 0; bit < 64 && first + bit < table_.vectors(); ++bit) {
    if (delivery_.pending(first + bit)) bits |= uint64_t{1} << bit;
    if (!delivery_.bound(first + bit)) unbound |= uint64_t{1} << bit;
  }
  // A vector without a host interrupt is masked in the device, which keeps the pending bit itself.
  return unbound == 0 ? bits : bits | (physical_->pending(word) & unbound);
}

uint16_t Msix::control() const {
  MutexLock lock(vectors_mutex_);
  return table_.control();
}

}  // namespace passthru
