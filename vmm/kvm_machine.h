// SPDX-License-Identifier: MIT
// The VM in KVM: its descriptor, its irqchip and the slots of its RAM. vCPUs and KvmHypervisor use
// its descriptors.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "vmm/cpuid.h"
#include "vmm/guest_memory.h"

namespace passthru {

/// The whole irqchip is KVM's (PIC, IOAPIC, local APICs, PIT), not only the local APICs. KVM then
/// resamples a level-triggered INTx line without an exit, and the VMM needs no IOAPIC of its own.
class KvmMachine {
 public:
  /// The first memory slot behind RAM's.
  static constexpr uint32_t kFirstFreeSlot = 8;

  static constexpr const char* kDevice = "/dev/kvm";
  /// Opens KVM and creates a VM.
  /// Errors:
  /// - ENOENT: KVM is missing; says what to do.
  /// - EACCES: this process may not open KVM; says what to do.
  static Result<std::unique_ptr<KvmMachine>> create(const std::string& device = kDevice);
  /// Creates a VM on an open /dev/kvm, which stays the caller's.
  /// Errors:
  /// - EBADF: the descriptor is not open.
  /// - ENOTTY and others: the descriptor is of another file.
  static Result<std::unique_ptr<KvmMachine>> create_on(int kvm_fd);

  /// Makes `memory` the guest's RAM. It must outlive the KvmMachine.
  Result<void> add_memory(const GuestMemory& memory);
  /// Sets the level of IOAPIC pin (and PIC input) `gsi`. Callable from any thread.
  void set_line(uint32_t gsi, bool level);

  /// Returns the CPUID leaves that this host's KVM can show to a guest.
  [[nodiscard]] Result<std::vector<CpuidEntry>> supported_cpuid() const;
  [[nodiscard]] unsigned max_cpus() const { return max_cpus_; }
  /// Returns the size of a vCPU's shared page, in bytes.
  [[nodiscard]] size_t run_size() const { return run_size_; }
  [[nodiscard]] int vm() const { return vm_.get(); }

 private:
  KvmMachine() = default;
  static Result<std::unique_ptr<KvmMachine>> make(Fd kvm);
  Result<void> look_at_kvm();
  Result<void> make_vm();

  Fd kvm_;
  Fd vm_;
  unsigned max_cpus_ = 0;
  size_t run_size_ = 0;
};

}  // namespace passthru
