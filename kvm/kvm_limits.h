// SPDX-License-Identifier: MIT
// What a VM's KVM is asked about once: how much there is of everything, and which of its newer
// features it has. Used by KvmHypervisor.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kvm/kvm_call.h"

namespace passthru {

struct KvmLimits {
  uint32_t slots = 0;       ///< memory slots
  uint32_t routes = 0;      ///< entries of the table of interrupt routes
  bool device_ids = false;  ///< routes and messages carry the requester id (KVM_CAP_MSI_DEVID)
  bool resampling = false;  ///< an irqfd can tell the guest's EOI
};

/// `irqchip_pins`: the VM's IOAPIC is KVM's. ENOTSUP: this KVM lacks irqfd, routing or
/// KVM_SIGNAL_MSI.
Result<KvmLimits> kvm_limits(const KvmFd& vm, bool irqchip_pins);

/// From now on the VM's interrupts have destination ids of 32 bits, of which 255 is one like any
/// other to an APIC in x2APIC mode. ENOTSUP: kernels before 4.7.
Result<void> kvm_take_wide_destinations(const KvmFd& vm);

}  // namespace passthru
