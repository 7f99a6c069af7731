// SPDX-License-Identifier: MIT
// The registers of the first CPU at its first instruction. A pure function of the boot entry.
#pragma once

#include "vmm/boot_plan.h"

struct kvm_regs;
struct kvm_sregs;

namespace passthru {

/// Sets the members of `sregs` and `regs` that the boot protocol of `entry` defines. The other
/// members of `sregs` keep KVM's values for a CPU after reset.
void set_entry_state(const BootEntry& entry, kvm_sregs& sregs, kvm_regs& regs);

}  // namespace passthru
