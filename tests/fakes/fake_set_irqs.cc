// SPDX-License-Identifier: MIT
// The kernel half of a fake device's interrupts: VFIO_DEVICE_SET_IRQS, after
// drivers/vfio/pci/vfio_pci_intrs.c.
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>
#include <utility>

#include "tests/fakes/fake_device.h"

namespace passthru {
namespace {

constexpr const char* kSetIrqs = "VFIO_DEVICE_SET_IRQS";

/// Returns a reference to the eventfd's object, as the kernel keeps one after its user closes the
/// fd.
Result<Fd> reference(int eventfd) {
  std::array<char, 64> target{};
  const std::string link = "/proc/self/fd/" + std::to_string(eventfd);
  if (readlink(link.c_str(), target.data(), target.size() - 1) < 0) return fail(EBADF, kSetIrqs);
  if (std::strcmp(target.data(), "anon_inode:[eventfd]") != 0) return fail(EINVAL, kSetIrqs);
  Fd copy(fcntl(eventfd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail(errno, kSetIrqs);
  return copy;
}

}  // namespace

Result<IrqInfo> FakeDevice::irq_info(Irq irq) const {
  IrqInfo info{.eventfd = true, .noresize = irq != Irq::Intx};
  switch (irq) {
    case Irq::Intx:
      info.count = spec_.intx ? 1 : 0;
      info.maskable = info.automasked = true;
      return info;
    case Irq::Msi:
      info.count = spec_.msi_vectors;
      return info;
    case Irq::Msix:
      info.count = spec_.msix.vectors;
      info.noresize = spec_.msix.noresize;
      return info;
    case Irq::Error:
      if (!spec_.express) break;
      info.count = 1;
      return info;
    case Irq::Request:
      info.count = 1;
      return info;
  }
  return fail(EINVAL, "VFIO_DEVICE_GET_IRQ_INFO");
}

Result<void> FakeDevice::bind(Irq irq, uint32_t start, std::span<const int> eventfds) {
  auto info = irq_info(irq);
  if (!info || eventfds.empty() || start >= info->count || eventfds.size() > info->count - start) {
    return fail(EINVAL, kSetIrqs);
  }
  if (irq != Irq::Msi && irq != Irq::Msix) {
    MutexLock lock(state_mutex_);
    return bind_single(irq, start, eventfds);
  }
  const auto end = static_cast<unsigned>(start + eventfds.size());
  const bool first = PASSTHRU_TRY(begin_bind(irq, end));
  for (unsigned vector = start; vector < end; ++vector) {
    auto done = set_vector_and_wait(vector, eventfds[vector - start]);
    if (done) continue;
    // A failed call unbinds all its vectors. Vectors outside the call stay bound.
    MutexLock lock(state_mutex_);
    for (unsigned undo = vector + 1; undo-- > start;)
      ignore(set_vector(undo, -1), "unbinding cannot fail");
    if (first) disable_all();
    return done;
  }
  return {};
}

// Returns whether the call enables the index.
Result<bool> FakeDevice::begin_bind(Irq irq, unsigned end) {
  MutexLock lock(state_mutex_);
  const bool first = enabled_ == Irq::Request;
  if (first) {
    PASSTHRU_TRY(enable(irq, end));
  } else if (enabled_ != irq || (irq_info(irq)->noresize && end > vectors_.size())) {
    return fail(EINVAL, kSetIrqs);
  }
  return first;
}

// Takes the lock only for the binding: the hardware continues during the pause.
Result<void> FakeDevice::set_vector_and_wait(unsigned vector, int eventfd) {
  {
    MutexLock lock(state_mutex_);
    PASSTHRU_TRY(set_vector(vector, eventfd));
  }
  if (eventfd >= 0 && pause_) pause_();
  return {};
}

void FakeDevice::bind_failed(Irq irq, uint32_t start, size_t count) {
  MutexLock lock(state_mutex_);
  if (enabled_ != irq || (irq != Irq::Msi && irq != Irq::Msix)) return;
  for (auto vector = static_cast<unsigned>(start); vector < start + count; ++vector) {
    if (vector < vectors_.size()) ignore(set_vector(vector, -1), "unbinding cannot fail");
  }
}

void FakeDevice::refuse(unsigned vector, int code) {
  MutexLock lock(state_mutex_);
  refused_[vector] = code;
}

Result<void> FakeDevice::enable(Irq irq, unsigned count) {
  const unsigned available = irq == Irq::Msix ? spec_.msix.available : spec_.msi_available;
  if (count > available) {
    auto error = fail(ENOSPC, kSetIrqs);
    error.value().index = available;
    return error;
  }
  enabled_ = irq;
  const bool dynamic = irq == Irq::Msix && !spec_.msix.noresize;
  vectors_.resize(dynamic ? spec_.msix.vectors : count);
  for (unsigned vector = 0; vector < count; ++vector) vectors_[vector].allocated = true;
  if (irq == Irq::Msi) return {};
  config_.set_msix_control(static_cast<uint16_t>(
      (config_.msix_control() & ~PCI_MSIX_FLAGS_MASKALL) | PCI_MSIX_FLAGS_ENABLE));
  // Masks all entries. The allocated entries receive their message now.
  for (unsigned vector = 0; vector < spec_.msix.vectors && !bars_lost_; ++vector) {
    PhysicalEntry masked = entry_now(vector);
    masked.control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    program(vector, masked);
  }
  for (unsigned vector = 0; vector < count; ++vector) {
    PhysicalEntry entry = host_message(vector);
    entry.control = PCI_MSIX_ENTRY_CTRL_MASKBIT;
    host_writes(vector, entry);
  }
  return {};
}

void FakeDevice::host_writes(unsigned vector, const PhysicalEntry& entry) {
  vectors_[vector].cached = entry;
  if (!bars_lost_) program(vector, entry);
}

Result<void> FakeDevice::set_vector(unsigned vector, int eventfd) {
  Vector& slot = vectors_[vector];
  if (slot.trigger) {
    slot.trigger.reset();
    if (enabled_ == Irq::Msix) host_writes(vector, {});
  }
  if (eventfd < 0) return {};
  if (const auto refused = refused_.find(vector); refused != refused_.end() && refused->second != 0)
    return fail(refused->second, kSetIrqs);
  if (!slot.allocated && enabled_ == Irq::Msix && allocated_now() >= spec_.msix.available) {
    return fail(ENOSPC, kSetIrqs);  // pci_msix_alloc_irq_at
  }
  slot.trigger = PASSTHRU_TRY(reference(eventfd));
  slot.allocated = true;
  // The kernel writes the cached message before it requests the interrupt, which unmasks it.
  if (enabled_ == Irq::Msix) host_writes(vector, host_message(vector));
  return {};
}

Result<void> FakeDevice::bind_single(Irq irq, uint32_t start, std::span<const int> eventfds) {
  if (start != 0 || eventfds.size() != 1) return fail(EINVAL, kSetIrqs);
  Fd trigger;
  if (eventfds[0] >= 0) trigger = PASSTHRU_TRY(reference(eventfds[0]));
  if (irq == Irq::Intx) {
    if (enabled_ != Irq::Intx && enabled_ != Irq::Request) return fail(EINVAL, kSetIrqs);
    // A new eventfd does not change the mask.
    if (std::exchange(enabled_, Irq::Intx) != Irq::Intx) intx_masked_ = false;
  }
  single_[index_of(irq)] = std::move(trigger);
  if (irq == Irq::Intx) assert_intx();
  return {};
}

Result<void> FakeDevice::disable(Irq irq) {
  MutexLock lock(state_mutex_);
  if (irq == Irq::Error || irq == Irq::Request) {
    if (!single_[index_of(irq)]) return fail(EINVAL, kSetIrqs);
    single_[index_of(irq)].reset();
    return {};
  }
  if (enabled_ != irq) return fail(EINVAL, kSetIrqs);
  disable_all();
  return {};
}

void FakeDevice::disable_all() {
  // Freeing a handler masks its entry and zeroes its message. Entries without a handler stay as
  // they are.
  for (unsigned vector = 0; enabled_ == Irq::Msix && vector < vectors_.size(); ++vector) {
    if (vectors_[vector].trigger) host_writes(vector, {});
  }
  if (enabled_ == Irq::Msix)
    config_.set_msix_control(config_.msix_control() & PCI_MSIX_FLAGS_QSIZE);
  vectors_.clear();
  single_[index_of(Irq::Intx)].reset();
  unmask_eventfd_.reset();
  enabled_ = Irq::Request;
}

void FakeDevice::restore_irqs() {
  if (enabled_ != Irq::Msix) return;
  config_.set_msix_control(config_.msix_control() | PCI_MSIX_FLAGS_ENABLE);
  for (unsigned vector = 0; vector < vectors_.size(); ++vector) {
    if (vectors_[vector].allocated) host_writes(vector, vectors_[vector].cached);
  }
}

Result<void> FakeDevice::act(Irq irq, IrqAction action, uint32_t start, uint32_t count) {
  auto info = irq_info(irq);
  if (!info || count == 0 || start >= info->count || count > info->count - start) {
    return fail(EINVAL, kSetIrqs);
  }
  MutexLock lock(state_mutex_);
  if (irq == Irq::Error || irq == Irq::Request) {
    if (action != IrqAction::Trigger) return fail(ENOTTY, kSetIrqs);
    if (!single_[index_of(irq)]) return fail(EINVAL, kSetIrqs);
    signal(single_[index_of(irq)]);
    return {};
  }
  if (action != IrqAction::Trigger && irq != Irq::Intx) return fail(ENOTTY, kSetIrqs);
  if (enabled_ != irq || (irq != Irq::Intx && start + count > vectors_.size()))
    return fail(EINVAL, kSetIrqs);
  if (irq == Irq::Intx) return act_on_intx(action);
  for (uint32_t vector = start; vector < start + count; ++vector) signal(vectors_[vector].trigger);
  return {};
}

Result<void> FakeDevice::act_on_intx(IrqAction action) {
  switch (action) {
    case IrqAction::Mask:
      intx_masked_ = true;
      break;
    case IrqAction::Unmask:
      intx_masked_ = false;
      assert_intx();
      break;
    case IrqAction::Trigger:
      signal(single_[index_of(Irq::Intx)]);
      break;
  }
  return {};
}

Result<void> FakeDevice::bind_unmask(Irq irq, int eventfd) {
  MutexLock lock(state_mutex_);
  if (irq != Irq::Intx) return fail(ENOTTY, kSetIrqs);
  if (enabled_ != Irq::Intx) return fail(EINVAL, kSetIrqs);
  if (eventfd < 0) {
    unmask_eventfd_.reset();
    return {};
  }
  if (unmask_eventfd_) return fail(EBUSY, kSetIrqs);  // vfio_virqfd_enable()
  unmask_eventfd_ = PASSTHRU_TRY(reference(eventfd));
  return {};
}

void FakeDevice::poll_unmask() {
  MutexLock lock(state_mutex_);
  uint64_t count = 0;
  if (!unmask_eventfd_ || ::read(unmask_eventfd_.get(), &count, sizeof count) < 0) return;
  intx_masked_ = false;
  assert_intx();
}

}  // namespace passthru
