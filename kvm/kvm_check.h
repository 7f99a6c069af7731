// SPDX-License-Identifier: MIT
// Owns the opening of KVM and the judgement whether this machine's can run a guest with devices.
// Used by VMMs on KVM before there is a VM.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "kvm/kvm_limits.h"
#include "prepare/host_checks.h"

namespace passthru {

/// Close-on-exec. ENOENT, ENXIO..: no module, or no virtualization; EACCES: not this user's. The
/// error says what to do.
Result<Fd> open_kvm(const std::string& device = "/dev/kvm");

/// What every VM of this machine can have, if the IOAPIC is KVM's own. Makes no VM. Errors of
/// `open_kvm` and of `kvm_limits`.
Result<KvmLimits> kvm_limits_of_host(const std::string& device = "/dev/kvm");

/// Pure. No where there is no KVM that can be used, or it lacks what KvmHypervisor cannot do
/// without.
HostCheck check_kvm(const Result<KvmLimits>& limits);

}  // namespace passthru
