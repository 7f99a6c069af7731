// SPDX-License-Identifier: MIT
// Owns the calls into KVM and how they fail: one function for host/kvm/ and for VMMs on KVM.
// linux/kvm.h stays in the .cc files that use it.
#pragma once

#include <cstdint>

#include "vfio/result.h"

namespace passthru {

/// Calls KVM on a system, VM or vCPU descriptor. `request` is the KVM_ constant and `name` its
/// spelling, which becomes the error's operation. Returns what the call returned, never negative.
/// Does not retry. Thread-safe.
Result<int> kvm_call(int fd, unsigned long request, const char* name, void* argument);
/// The same for calls whose argument is a number.
Result<int> kvm_call(int fd, unsigned long request, const char* name, uint64_t argument = 0);

}  // namespace passthru
