// SPDX-License-Identifier: MIT
// Owns the VM as KVM has it: its descriptor, its irqchip and the slots of its RAM. vCPUs and
// KvmHypervisor are made on its descriptors.
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

/// The whole irqchip is KVM's (PIC, IOAPIC, local APICs, PIT), not only the local APICs: a
/// level-triggered INTx line is then resampled without an exit, and there is no IOAPIC to write.
class KvmMachine {
 public:
  /// The first slot that is not RAM's.
  static constexpr uint32_t kFirstFreeSlot = 8;

  static constexpr const char* kDevice = "/dev/kvm";
  /// ENOENT or EACCES: KVM is missing or not ours to open, with what to do about it.
  static Result<std::unique_ptr<KvmMachine>> create(const std::string& device = kDevice);
  /// On an opened /dev/kvm, which stays the caller's: nothing is opened. EBADF: it is not open;
  /// ENOTTY and others: it is something else.
  static Result<std::unique_ptr<KvmMachine>> create_on(int kvm_fd);

  /// `memory` outlives the KvmMachine.
  Result<void> add_memory(const GuestMemory& memory);
  /// Sets the level of IOAPIC pin (and PIC input) `gsi`. Any thread.
  void set_line(uint32_t gsi, bool level);

  /// What this host's KVM can show to a guest.
  [[nodiscard]] Result<std::vector<CpuidEntry>> supported_cpuid() const;
  [[nodiscard]] unsigned max_cpus() const { return max_cpus_; }
  /// Size of a vCPU's shared page, bytes.
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
