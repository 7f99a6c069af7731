// SPDX-License-Identifier: MIT
// A VM on real KVM with a split irqchip. Its CPU only ends interrupts, so that a test sees for
// which vectors KVM reports the end.
#pragma once

#include <gtest/gtest.h>
#include <linux/kvm.h>
#include <sys/mman.h>

#include <cstdint>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "kvm/kvm_call.h"
#include "kvm/kvm_check.h"
#include "vmm/entry_state.h"

namespace passthru {

class SplitMachine {
 public:
  SplitMachine() {
    kvm_ = fd(open_kvm());
    vm_ = fd(kvm_call(kvm_.get(), KVM_CREATE_VM, "KVM_CREATE_VM"));
    call(vm_, KVM_SET_TSS_ADDR, "KVM_SET_TSS_ADDR", reinterpret_cast<void*>(0xfffb'd000));
    kvm_enable_cap split{};
    split.cap = KVM_CAP_SPLIT_IRQCHIP;
    split.args[0] = 24;  // pins
    call(vm_, KVM_ENABLE_CAP, "KVM_CAP_SPLIT_IRQCHIP", &split);

    memory_ = ::mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    std::memcpy(memory_, kProgram, sizeof kProgram);
    kvm_userspace_memory_region region{.slot = 0,
                                       .flags = 0,
                                       .guest_phys_addr = kPage,
                                       .memory_size = kPage,
                                       .userspace_addr = reinterpret_cast<uintptr_t>(memory_)};
    call(vm_, KVM_SET_USER_MEMORY_REGION, "KVM_SET_USER_MEMORY_REGION", &region);

    cpu_ = fd(kvm_call(vm_.get(), KVM_CREATE_VCPU, "KVM_CREATE_VCPU"));
    size_ = static_cast<size_t>(
        kvm_call(kvm_.get(), KVM_GET_VCPU_MMAP_SIZE, "KVM_GET_VCPU_MMAP_SIZE").value_or(0));
    run_ = static_cast<kvm_run*>(
        ::mmap(nullptr, size_, PROT_READ | PROT_WRITE, MAP_SHARED, cpu_.get(), 0));
    kvm_sregs sregs{};
    kvm_regs regs{};
    call(cpu_, KVM_GET_SREGS, "KVM_GET_SREGS", &sregs);
    set_entry_state({.mode = BootEntry::Mode::Protected, .instruction = kPage}, sregs, regs);
    call(cpu_, KVM_SET_SREGS, "KVM_SET_SREGS", &sregs);
    call(cpu_, KVM_SET_REGS, "KVM_SET_REGS", &regs);
  }
  ~SplitMachine() {
    ::munmap(run_, size_);
    ::munmap(memory_, kPage);
  }
  SplitMachine(const SplitMachine&) = delete;
  SplitMachine& operator=(const SplitMachine&) = delete;

  [[nodiscard]] int vm() const { return vm_.get(); }

  /// Makes the CPU end interrupt `vector`, as if it had taken it. Returns the vector whose end KVM
  /// reports, if any.
  std::optional<unsigned> end_of(unsigned vector) {
    kvm_lapic_state apic{};
    call(cpu_, KVM_GET_LAPIC, "KVM_GET_LAPIC", &apic);
    apic.regs[kSpuriousVector + 1] |= 1;  // bit 8: software enable
    apic.regs[kInService + vector / 32 * 0x10 + vector % 32 / 8] |=
        static_cast<char>(1U << vector % 8);
    call(cpu_, KVM_SET_LAPIC, "KVM_SET_LAPIC", &apic);
    call(cpu_, KVM_RUN, "KVM_RUN", nullptr);
    std::optional<unsigned> ended;
    if (run_->exit_reason == KVM_EXIT_IOAPIC_EOI) {
      ended = run_->eoi.vector;
      call(cpu_, KVM_RUN, "KVM_RUN", nullptr);
    }
    EXPECT_EQ(run_->exit_reason, unsigned{KVM_EXIT_IO}) << "the CPU did not reach its port access";
    return ended;
  }

 private:
  static constexpr size_t kPage = 0x1000;
  static constexpr size_t kSpuriousVector = 0xf0;
  static constexpr size_t kInService = 0x100;
  static constexpr uint8_t kProgram[] = {
      0xc7, 0x05, 0xb0, 0x00, 0xe0, 0xfe, 0, 0, 0, 0,  // again: movl $0, 0xfee000b0 (EOI)
      0xe6, 0x80,                                      //        outb %al, $0x80
      0xeb, 0xf2,                                      //        jmp again
  };

  static Fd fd(Result<Fd> opened) {
    EXPECT_TRUE(opened) << opened.error().message();
    return opened ? std::move(*opened) : Fd();
  }
  static Fd fd(const Result<int>& made) {
    EXPECT_TRUE(made) << made.error().message();
    return Fd(made.value_or(-1));
  }
  static void call(const Fd& on, unsigned long request, const char* name, void* argument) {
    const auto done = kvm_call(on.get(), request, name, argument);
    EXPECT_TRUE(done) << done.error().message();
  }

  Fd kvm_;
  Fd vm_;
  Fd cpu_;
  void* memory_ = nullptr;
  kvm_run* run_ = nullptr;
  size_t size_ = 0;
};

}  // namespace passthru
