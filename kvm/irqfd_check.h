// SPDX-License-Identifier: MIT
// Whether a VM's irqfds take the counters of their eventfds. Linux's do since 5.11; an earlier one
// only looks at them.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kvm/kvm_call.h"

namespace passthru {

/// Finds out by an irqfd of its own, on a GSI without a route: the guest gets no interrupt.
///
/// Errors:
/// EINVAL: the VM has no irqchip of KVM's yet, so it can have no irqfd.
/// EMFILE, ENFILE, ENOMEM: of eventfd(2) and KVM_IRQFD.
Result<bool> irqfd_takes_signals(const KvmFd& vm, uint32_t free_gsi);

}  // namespace passthru
