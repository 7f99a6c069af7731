// SPDX-License-Identifier: MIT
// The hardware half of a fake device's interrupts: the physical MSI-X table, the PBA, and the
// delivery of raised interrupts (PCI 3.0, 6.8.2 and 6.8.3).
#include <linux/pci_regs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <utility>

#include "tests/fakes/fake_device.h"

namespace passthru {

void FakeDevice::signal(const Fd& eventfd) {
  const uint64_t one = 1;
  // If the counter is full, the eventfd is signalled already.
  if (eventfd && ::write(eventfd.get(), &one, sizeof one) < 0) return;
}

std::byte* FakeDevice::device_memory(unsigned bar) {
  Memory& memory = bars_[bar];
  return memory.hidden.empty() ? memory.data : memory.hidden.data();
}

std::byte* FakeDevice::entry_at(unsigned vector) {
  return device_memory(spec_.msix.table_bar) + spec_.msix.table_offset + size_t{16} * vector;
}

std::byte* FakeDevice::pending_at(unsigned vector) {
  const uint64_t byte = vector / 8;
  if (spec_.msix.pba_offset + byte >= spec_.bars[spec_.msix.pba_bar].size) {
    return &pba_nowhere_[byte];
  }
  return device_memory(spec_.msix.pba_bar) + spec_.msix.pba_offset + byte;
}

PhysicalEntry FakeDevice::host_message(unsigned vector) const {
  // VT-d's remappable format (address bit 4): the address holds the handle, which does not depend
  // on the affinity.
  if (interrupt_remapping_) return {0xfee00018U | (vector + 1) << 5, 0, 0, 0};
  return {0xfee00000U, 0, 0x4021U + vector, 0};
}

PhysicalEntry FakeDevice::entry_now(unsigned vector) {
  PhysicalEntry entry;
  std::memcpy(&entry, entry_at(vector), sizeof entry);
  return entry;
}

PhysicalEntry FakeDevice::entry(unsigned vector) {
  MutexLock lock(state_mutex_);
  return entry_now(vector);
}

void FakeDevice::set_entry(unsigned vector, const PhysicalEntry& entry) {
  MutexLock lock(state_mutex_);
  program(vector, entry);
}

void FakeDevice::zero_table() {
  MutexLock lock(state_mutex_);
  for (unsigned vector = 0; vector < spec_.msix.vectors; ++vector) program(vector, {0, 0, 0, 0});
}

void FakeDevice::program(unsigned vector, const PhysicalEntry& entry) {
  std::memcpy(entry_at(vector), &entry, sizeof entry);
  deliver_pending(vector);
}

void FakeDevice::clear_msix() {
  for (unsigned vector = 0; vector < spec_.msix.vectors; ++vector) {
    program(vector, {});
    *pending_at(vector) &= ~(std::byte{1} << (vector % 8));
  }
}

void FakeDevice::lose_bars() {
  bars_lost_ = true;
  settle_mappings();
}

void FakeDevice::find_bars() {
  bars_lost_ = false;
  settle_mappings();
}

void FakeDevice::set_faulting(bool faulting) {
  MutexLock lock(state_mutex_);
  faulting_ = faulting;
  settle_mappings();
}

// vfio_pci_mmap_fault(): without memory decode in D0, an access raises SIGBUS; existing mappings
// are zapped first. A file shorter than its mapping has the same effect.
void FakeDevice::settle_mappings() {
  const bool reachable = config_.memory_enabled() && !faulting_;
  const Shown now = !reachable ? Shown::Faults : bars_lost_ ? Shown::Ones : Shown::Content;
  const Shown before = std::exchange(shown_, now);
  if (now == before) return;
  for (size_t index = 0; index < bars_.size(); ++index) {
    Memory& memory = bars_[index];
    if (memory.data == nullptr || spec_.bars[index].io) continue;
    if (before == Shown::Content) memory.hidden.assign(memory.data, memory.data + memory.size);
    const off_t size = now == Shown::Faults ? 0 : static_cast<off_t>(memory.size);
    if (ftruncate(memory.fd.get(), size) != 0) std::abort();
    if (now == Shown::Ones) std::memset(memory.data, 0xff, memory.size);
    if (now != Shown::Content) continue;
    std::memcpy(memory.data, memory.hidden.data(), memory.size);
    memory.hidden.clear();
  }
}

void FakeDevice::set_gone(bool gone) {
  MutexLock lock(state_mutex_);
  gone_ = gone;
  if (gone) {
    lose_bars();
  } else {
    find_bars();
  }
}

bool FakeDevice::pending(unsigned vector) {
  MutexLock lock(state_mutex_);
  return (*pending_at(vector) >> (vector % 8) & std::byte{1}) != std::byte{0};
}

uint16_t FakeDevice::msix_control() {
  MutexLock lock(state_mutex_);
  return config_.msix_control();
}

void FakeDevice::set_msix_control(uint16_t value) {
  MutexLock lock(state_mutex_);
  config_.set_msix_control(
      static_cast<uint16_t>((value & ~PCI_MSIX_FLAGS_QSIZE) | (spec_.msix.vectors - 1)));
  for (unsigned vector = 0; vector < spec_.msix.vectors; ++vector) deliver_pending(vector);
}

bool FakeDevice::may_deliver(unsigned vector) {
  const uint16_t control = config_.msix_control();
  const PhysicalEntry entry = entry_now(vector);
  return (control & PCI_MSIX_FLAGS_ENABLE) != 0 && (control & PCI_MSIX_FLAGS_MASKALL) == 0 &&
         (entry.control & PCI_MSIX_ENTRY_CTRL_MASKBIT) == 0;
}

void FakeDevice::deliver_pending(unsigned vector) {
  const std::byte bit = std::byte{1} << (vector % 8);
  std::byte& word = *pending_at(vector);
  if ((word & bit) == std::byte{0} || !may_deliver(vector)) return;
  word &= ~bit;
  if (entry_now(vector) == host_message(vector) && vector < vectors_.size() &&
      vectors_[vector].trigger) {
    signal(vectors_[vector].trigger);
  } else {
    ++lost_;
  }
}

Fired FakeDevice::fire(unsigned vector) {
  MutexLock lock(state_mutex_);
  const bool bound = vector < vectors_.size() && vectors_[vector].trigger;
  if (enabled_ == Irq::Msi) {
    if (bound) signal(vectors_[vector].trigger);
    if (!bound) ++lost_;
    return bound ? Fired::Delivered : Fired::Lost;
  }
  if (vector >= spec_.msix.vectors || (config_.msix_control() & PCI_MSIX_FLAGS_ENABLE) == 0) {
    ++lost_;
    return Fired::Lost;
  }
  const uint64_t lost_before = lost_;
  *pending_at(vector) |= std::byte{1} << (vector % 8);
  if (!may_deliver(vector)) return Fired::Pending;
  deliver_pending(vector);
  return lost_ == lost_before ? Fired::Delivered : Fired::Lost;
}

void FakeDevice::set_intx(bool level) {
  MutexLock lock(state_mutex_);
  intx_level_ = level;
  assert_intx();
}

void FakeDevice::assert_intx() {
  if (!intx_level_ || intx_masked_ || enabled_ != Irq::Intx) return;
  intx_masked_ = true;  // VFIO_IRQ_INFO_AUTOMASKED
  signal(single_[index_of(Irq::Intx)]);
}

void FakeDevice::notify(Irq irq) {
  MutexLock lock(state_mutex_);
  signal(single_[index_of(irq)]);
}

void FakeDevice::report_errors(uint32_t status, uint32_t severity) {
  MutexLock lock(state_mutex_);
  config_.record_errors(status, severity);
  signal(single_[index_of(Irq::Error)]);
}

bool FakeDevice::bound(unsigned vector) {
  MutexLock lock(state_mutex_);
  return vector < vectors_.size() && vectors_[vector].trigger;
}

unsigned FakeDevice::allocated() {
  MutexLock lock(state_mutex_);
  return allocated_now();
}

unsigned FakeDevice::allocated_now() const {
  return static_cast<unsigned>(std::count_if(
      vectors_.begin(), vectors_.end(), [](const Vector& vector) { return vector.allocated; }));
}

uint64_t FakeDevice::lost() {
  MutexLock lock(state_mutex_);
  return lost_;
}

}  // namespace passthru
