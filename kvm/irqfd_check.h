// SPDX-License-Identifier: MIT
// The check whether a VM's irqfds take the counters of their eventfds. Linux's do since 5.11; in
// earlier kernels they only read the counters.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "kvm/kvm_call.h"

namespace passthru {

/// Checks with its own irqfd, on a GSI without a route: the guest gets no interrupt.
///
/// Errors:
/// - EINVAL: the VM has no in-kernel irqchip yet, so it cannot have an irqfd.
/// - EMFILE, ENFILE, ENOMEM: from eventfd(2) and KVM_IRQFD.
Result<bool> irqfd_takes_signals(const KvmFd& vm, uint32_t free_gsi);

}  // namespace passthru
