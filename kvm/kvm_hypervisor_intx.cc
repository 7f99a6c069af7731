// SPDX-License-Identifier: MIT
// KvmHypervisor: INTx by resampling irqfds, or by levels for a VMM that drives its lines itself.
#include <linux/kvm.h>

#include "kvm/kvm_hypervisor.h"

namespace passthru {

Result<void> KvmHypervisor::arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample) {
  if (!options_.intx_gsi)
    return fail(ENOTSUP, "deliver INTx", "the VMM does not connect INTx pins");
  if (!resampling_) {
    return fail(ENOTSUP, "deliver INTx",
                "KVM's irqfds do not report an EOI, and the VMM does not drive the lines itself");
  }
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = PASSTHRU_TRY(options_.intx_gsi(guest_address, pin));
  irqfd.flags = KVM_IRQFD_FLAG_RESAMPLE;
  irqfd.resamplefd = static_cast<uint32_t>(resample);
  PASSTHRU_TRY(vm_.call(KVM_IRQFD, "KVM_IRQFD", &irqfd));
  MutexLock lock(lines_mutex_);
  intx_irqfds_[eventfd] = irqfd.gsi;
  return {};
}

void KvmHypervisor::disarm_intx(Bdf /*guest_address*/, unsigned /*pin*/, int eventfd) {
  uint32_t gsi = 0;
  {
    MutexLock lock(lines_mutex_);
    const auto armed = intx_irqfds_.find(eventfd);
    if (armed == intx_irqfds_.end()) return;
    gsi = armed->second;
    intx_irqfds_.erase(armed);
  }
  // KVM lowers the line when its last resampling irqfd is removed.
  ignore(set_irqfd(gsi, eventfd, KVM_IRQFD_FLAG_DEASSIGN),
         "fails only if the irqfd does not exist; then KVM delivers nothing");
}

// A level falls on the line that it rose on.
void KvmHypervisor::set_intx(Bdf guest_address, unsigned pin, bool level) {
  if (!options_.intx_gsi || !options_.set_line) return;
  const auto gsi = options_.intx_gsi(guest_address, pin);
  if (!gsi && level) return;
  MutexLock lock(lines_mutex_);
  for (const LineLevel& changed : lines_.set(gsi.value_or(0), guest_address, pin, level)) {
    options_.set_line(changed.line, changed.level);
  }
}

}  // namespace passthru
