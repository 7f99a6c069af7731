// SPDX-License-Identifier: MIT
// The limits and newer features of a VM's KVM, which KvmHypervisor reads once.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kvm/kvm_call.h"

namespace passthru {

struct KvmLimits {
  uint32_t slots = 0;       ///< memory slots
  uint32_t routes = 0;      ///< entries of the table of interrupt routes
  bool device_ids = false;  ///< routes and messages carry the requester id (KVM_CAP_MSI_DEVID)
  bool resampling = false;  ///< an irqfd can report the guest's EOI
};

/// Reads the limits. `irqchip_pins`: the VM's IOAPIC is KVM's.
///
/// Errors:
/// - ENOTSUP: this KVM lacks irqfd, routing or KVM_SIGNAL_MSI.
Result<KvmLimits> kvm_limits(const KvmFd& vm, bool irqchip_pins);

/// Gives the VM's interrupts destination ids of 32 bits. To an APIC in x2APIC mode, 255 is then an
/// ordinary id.
///
/// Errors:
/// - ENOTSUP: the kernel is older than 4.7.
Result<void> kvm_take_wide_destinations(const KvmFd& vm);

}  // namespace passthru
