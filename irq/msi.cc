// SPDX-License-Identifier: MIT
#include "irq/msi.h"

#include <algorithm>
#include <bit>

namespace passthru {
namespace {

// Multiple Message Enable: log2 of the number of vectors; 6 and 7 are reserved.
unsigned messages_enabled(uint16_t control) {
  return 1U << std::min((control & PCI_MSI_FLAGS_QSIZE) >> 4, 5);
}

}  // namespace

MsiVectors::MsiVectors(const MsiRegisters& registers, unsigned available) : registers_(registers) {
  if ((registers.control & PCI_MSI_FLAGS_ENABLE) != 0) {
    enabled_ = std::min(messages_enabled(registers.control), std::bit_floor(available));
  }
}

MsiMessage MsiVectors::message(unsigned vector) const {
  const uint32_t number_bits = std::max(enabled_, 1U) - 1;
  return {registers_.address, (registers_.data & ~number_bits) | (vector & number_bits)};
}

Msi::Msi(const std::shared_ptr<VfioDevice>& device, ForwardingRouter& router,
         VectorObserver& observer, uint16_t requester_id, uint32_t max_per_second)
    : MessageInterrupts(
          device, nullptr, router, observer,
          {.irq = Irq::Msi, .requester_id = requester_id, .max_per_second = max_per_second}) {}

void Msi::write(const MsiRegisters& registers) {
  MutexLock lock(vectors_mutex_);
  const unsigned before = vectors_.count();
  vectors_ = MsiVectors(registers, delivery_.count());
  // The device spreads its messages over as many vectors as the host has enabled for it.
  if (vectors_.count() != before) {
    delivery_.release();
    delivery_.allocate_at_least(vectors_.count());
  }
  if (vectors_.enabled()) delivery_.sync_vectors(vectors_, 0, vectors_.count());
}

void Msi::reset() {
  MutexLock lock(vectors_mutex_);
  delivery_.reset();
  vectors_ = {};
}

uint32_t Msi::leave(Delivery::Leave how) {
  MutexLock lock(vectors_mutex_);
  delivery_.leave(how);
  return pending_bits();
}

void Msi::load(uint32_t pending, const MsiRegisters& registers) {
  MutexLock lock(vectors_mutex_);
  vectors_ = MsiVectors(registers, delivery_.count());
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if ((pending >> vector & 1) != 0) delivery_.set_pending(vector);
  }
  delivery_.go_on(vectors_, vectors_.count(), vectors_.count());
}

uint32_t Msi::pending() {
  MutexLock lock(vectors_mutex_);
  return pending_bits();
}

uint32_t Msi::pending_bits() {
  uint32_t bits = 0;
  for (unsigned vector = 0; vector < vectors_.count(); ++vector) {
    if (delivery_.pending(vector)) bits |= uint32_t{1} << vector;
  }
  return bits;
}

}  // namespace passthru
