// SPDX-License-Identifier: MIT
// The opening of KVM, and the check whether this machine's KVM can run a guest with devices. VMMs
// on KVM use it before they create a VM.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/result.h"
#include "kvm/kvm_limits.h"
#include "prepare/host_checks.h"

namespace passthru {

/// Opens KVM, close-on-exec. The error says what to do.
///
/// Errors:
/// - ENOENT, ENODEV, ENXIO: no module is loaded, or virtualization is off.
/// - EACCES: this user may not open it.
/// - EPERM: the device cgroup of this process does not allow it.
Result<Fd> open_kvm(const std::string& device = "/dev/kvm");

/// Explains why KVM did not open. Pure.
Error explain_kvm(Error error, const std::string& device);

/// Returns the limits of every VM of this machine whose IOAPIC is KVM's own. Creates no VM. Errors:
/// those of `open_kvm` and of `kvm_limits`.
Result<KvmLimits> kvm_limits_of_host(const std::string& device = "/dev/kvm");

/// Returns No if KVM cannot be used, or lacks a feature that KvmHypervisor requires. Pure.
HostCheck check_kvm(const Result<KvmLimits>& limits);

}  // namespace passthru
