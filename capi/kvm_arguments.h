// SPDX-License-Identifier: MIT
// The arguments of passthru_domain_create_kvm: their check, and their conversion.
#pragma once

#include "base/result.h"
#include "kvm/kvm_hypervisor.h"
#include "passthru/passthru.h"

namespace passthru {

struct KvmArguments {
  int vm_fd = -1;
  KvmHypervisorOptions options{};
};

/// Reads the options of passthru_domain_create_kvm. `vmm` is passed to the callback intx_gsi.
///
/// Errors:
/// - EINVAL: the pointer is null, or a flag is unknown.
/// - E2BIG: the struct has members that this version does not know.
Result<KvmArguments> kvm_arguments(const passthru_kvm_options* given, void* vmm);

}  // namespace passthru
