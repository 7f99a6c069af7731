// SPDX-License-Identifier: MIT
// A CPU of a real KVM machine that never runs. A test reads the arrived interrupts from its APIC.
#pragma once

#include <gtest/gtest.h>
#include <linux/kvm.h>

#include <chrono>
#include <cstdint>
#include <cstring>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "kvm/kvm_call.h"
#include "kvm/kvm_table.h"
#include "vmm/kvm_machine.h"

namespace passthru {

/// A CPU that never runs. Its APIC, in x2APIC mode and enabled, keeps the interrupts that it gets.
class SleepingCpu {
 public:
  SleepingCpu(const KvmMachine& machine, uint32_t id) {
    const auto fd =
        kvm_call(machine.vm(), KVM_CREATE_VCPU, "KVM_CREATE_VCPU", static_cast<uint64_t>(id));
    EXPECT_TRUE(fd) << fd.error().message();
    if (!fd) return;
    fd_ = Fd(*fd);
    KvmTable<kvm_cpuid_entry2> cpuid(supported(machine));
    call(kvm_table_request(KVM_SET_CPUID2), "KVM_SET_CPUID2", cpuid.argument());
    kvm_sregs sregs{};
    call(KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
    sregs.apic_base |= 3 << 10;
    call(KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
    kvm_lapic_state apic = state();
    apic.regs[kSpuriousVector + 1] |= 1;  // bit 8: software enable
    call(KVM_SET_LAPIC, "KVM_SET_LAPIC", &apic);
  }

  /// Clears all requests.
  void clear() {
    kvm_lapic_state apic = state();
    std::memset(apic.regs + kRequests, 0, 0x80);
    call(KVM_SET_LAPIC, "KVM_SET_LAPIC", &apic);
  }
  /// Returns whether the vector's bit in the interrupt request register is set.
  bool requested(unsigned vector) {
    const kvm_lapic_state apic = state();
    uint32_t word = 0;
    std::memcpy(&word, apic.regs + kRequests + vector / 32 * 0x10, sizeof word);
    return (word >> vector % 32 & 1) != 0;
  }

 private:
  static constexpr size_t kSpuriousVector = 0xf0;
  static constexpr size_t kRequests = 0x200;

  static std::vector<kvm_cpuid_entry2> supported(const KvmMachine& machine) {
    std::vector<kvm_cpuid_entry2> entries;
    const auto cpuid = machine.supported_cpuid();
    EXPECT_TRUE(cpuid);
    for (const CpuidEntry& each : cpuid.value_or(std::vector<CpuidEntry>{})) {
      kvm_cpuid_entry2 entry{};
      entry.function = each.leaf;
      entry.index = each.subleaf;
      entry.flags = each.flags;
      entry.eax = each.eax;
      entry.ebx = each.ebx;
      entry.ecx = each.ecx;
      entry.edx = each.edx;
      entries.push_back(entry);
    }
    return entries;
  }
  void call(unsigned long request, const char* name, void* argument) {
    const auto done = kvm_call(fd_.get(), request, name, argument);
    EXPECT_TRUE(done) << done.error().message();
  }
  kvm_lapic_state state() {
    kvm_lapic_state apic{};
    call(KVM_GET_LAPIC, "KVM_GET_LAPIC", &apic);
    return apic;
  }

  Fd fd_;
};

/// Returns whether the vector is requested within seconds.
inline bool soon(SleepingCpu& cpu, unsigned vector) {
  for (int left = 2000; left > 0; --left) {
    if (cpu.requested(vector)) return true;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return false;
}

}  // namespace passthru
