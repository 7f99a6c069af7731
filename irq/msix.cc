// SPDX-License-Identifier: MIT
// Owns the step from a guest's access to the table and the vectors: the pure value first, then the
// interrupts.
#include "irq/msix.h"

#include <climits>
#include <utility>

namespace passthru {

Msix::Msix(const std::shared_ptr<VfioDevice>& device, const MsixLayout& layout,
           ForwardingRouter& router, VectorObserver& observer, Options options)
    : physical_(device, layout),
      table_(device->irq(Irq::Msix).count),
      delivery_(device, &physical_, router, observer,
                {.irq = Irq::Msix,
                 .requester_id = options.requester_id,
                 .max_per_second = options.max_per_second,
                 .wake = std::move(options.wake),
                 .pause = std::move(options.pause),
                 .now = std::move(options.now)}) {}

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

void Msix::retranslate(const MessageFilter& concerns) {
  MutexLock lock(vectors_mutex_);
  delivery_.retranslate(table_, concerns);
}

Result<void> Msix::watch(unsigned vector, std::optional<uint64_t> label) {
  MutexLock lock(vectors_mutex_);
  return vector < delivery_.count() ? delivery_.watch(vector, label) : Result<void>{};
}

Result<uint32_t> Msix::audit() {
  MutexLock lock(vectors_mutex_);
  return delivery_.audit(table_);
}

Result<void> Msix::trigger(unsigned vector) {
  MutexLock lock(vectors_mutex_);
  return delivery_.trigger(vector);
}

uint64_t Msix::pending_word(unsigned word) {
  uint64_t bits = 0;
  uint64_t unbound = 0;
  const unsigned first = word * 64;
  for (unsigned bit = 0; bit < 64 && first + bit < table_.vectors(); ++bit) {
    if (delivery_.pending(first + bit)) bits |= uint64_t{1} << bit;
    if (!delivery_.bound(first + bit)) unbound |= uint64_t{1} << bit;
  }
  // A vector without an interrupt of the host is masked in the device, which keeps its pending bit
  // itself.
  return unbound == 0 ? bits : bits | (physical_.pending(word) & unbound);
}

bool Msix::enabled() const {
  MutexLock lock(vectors_mutex_);
  return table_.enabled();
}

uint16_t Msix::control() const {
  MutexLock lock(vectors_mutex_);
  return table_.control();
}

std::vector<VectorState> Msix::inspect(const InterruptCounts& seen) {
  MutexLock lock(vectors_mutex_);
  auto states = delivery_.inspect(table_, seen);
  unsigned word = UINT_MAX;
  uint64_t bits = 0;
  for (VectorState& state : states) {
    state.masked = table_.masked(state.vector);
    if (!state.bound) continue;
    if (std::exchange(word, state.vector / 64) != state.vector / 64) bits = physical_.pending(word);
    state.device_pending = (bits >> state.vector % 64 & 1) != 0;
  }
  return states;
}

uint64_t Msix::set_irqs_calls() const {
  MutexLock lock(vectors_mutex_);
  return delivery_.set_irqs_calls();
}

uint64_t Msix::restores() const {
  MutexLock lock(vectors_mutex_);
  return delivery_.restores();
}

uint64_t Msix::rearms() const {
  MutexLock lock(vectors_mutex_);
  return delivery_.rearms();
}

uint64_t Msix::delivered(const InterruptCounts& seen) {
  MutexLock lock(vectors_mutex_);
  return delivery_.delivered(seen);
}

uint64_t Msix::damages() const {
  MutexLock lock(vectors_mutex_);
  return delivery_.damages();
}

uint64_t Msix::refused_messages() const {
  MutexLock lock(vectors_mutex_);
  return delivery_.refused_messages();
}

}  // namespace passthru
