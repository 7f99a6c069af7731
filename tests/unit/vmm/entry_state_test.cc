// SPDX-License-Identifier: MIT
// Tests of the first CPU's registers in each mode.
#include "vmm/entry_state.h"

#include <gtest/gtest.h>
#include <linux/kvm.h>

#include <cstring>

#include "vmm/memory_map.h"

namespace passthru {
namespace {

/// The registers after `entry` is applied to registers of all ones.
struct Registers {
  explicit Registers(const BootEntry& entry) {
    std::memset(&sregs, 0xFF, sizeof(sregs));
    std::memset(&regs, 0xFF, sizeof(regs));
    set_entry_state(entry, sregs, regs);
  }
  kvm_sregs sregs{};
  kvm_regs regs{};
};

constexpr BootEntry kLong = {.mode = BootEntry::Mode::Long,
                             .instruction = 0x100200,
                             .parameters = 0x7000,
                             .page_tables = 0x9000};
constexpr BootEntry kProtected = {
    .mode = BootEntry::Mode::Protected, .instruction = 0x1000850, .parameters = 0x7000};

TEST(EntryState, LongModeHasPagingAndTheParametersInRsi) {
  const Registers cpu(kLong);
  EXPECT_EQ(cpu.regs.rip, 0x100200u);
  EXPECT_EQ(cpu.regs.rsi, 0x7000u);
  EXPECT_EQ(cpu.regs.rbx, 0u);
  EXPECT_EQ(cpu.sregs.cr0, 0x80000031u);
  EXPECT_EQ(cpu.sregs.cr3, 0x9000u);
  EXPECT_EQ(cpu.sregs.cr4, 0x20u);
  EXPECT_EQ(cpu.sregs.efer, 0x500u);
  EXPECT_EQ(cpu.sregs.cs.l, 1);
  EXPECT_EQ(cpu.sregs.cs.db, 0);
  EXPECT_EQ(cpu.sregs.gdt.base, kGdt);
  EXPECT_EQ(cpu.sregs.gdt.limit, 31);
}

TEST(EntryState, ProtectedModeHasNoPagingAndTheParametersInEbx) {
  const Registers cpu(kProtected);
  EXPECT_EQ(cpu.regs.rip, 0x1000850u);
  EXPECT_EQ(cpu.regs.rbx, 0x7000u);
  EXPECT_EQ(cpu.regs.rsi, 0u);
  EXPECT_EQ(cpu.sregs.cr0, 0x11u);  // protected mode, and the x87 type that is always set
  EXPECT_EQ(cpu.sregs.cr3, 0u);
  EXPECT_EQ(cpu.sregs.cr4, 0u);
  EXPECT_EQ(cpu.sregs.efer, 0u);
  EXPECT_EQ(cpu.sregs.cs.l, 0);
  EXPECT_EQ(cpu.sregs.cs.db, 1);
  EXPECT_EQ(cpu.sregs.tr.base, 0u);
  EXPECT_EQ(cpu.sregs.tr.limit, 0x67u);
  EXPECT_EQ(cpu.sregs.tr.type, 0xB);  // a busy 32-bit TSS
  EXPECT_EQ(cpu.sregs.tr.s, 0);
  EXPECT_EQ(cpu.sregs.tr.present, 1);
}

TEST(EntryState, BothModesHaveFlatSegmentsAndNoInterrupts) {
  for (const BootEntry& entry : {kLong, kProtected}) {
    const Registers cpu(entry);
    EXPECT_EQ(cpu.regs.rflags, 2u);  // not IF, TF or VM
    EXPECT_EQ(cpu.sregs.idt.limit, 0);
    const auto& s = cpu.sregs;
    for (const kvm_segment& segment : {s.cs, s.ds, s.es, s.fs, s.gs, s.ss}) {
      EXPECT_EQ(segment.base, 0u);
      EXPECT_EQ(segment.limit, 0xFFFFFFFFu);
      EXPECT_EQ(segment.g, 1);
      EXPECT_EQ(segment.present, 1);
      EXPECT_EQ(segment.dpl, 0);
      EXPECT_EQ(segment.unusable, 0);
    }
    EXPECT_EQ(s.cs.type, 0xB);  // code: execute, read, accessed
    EXPECT_EQ(s.ds.type, 0x3);  // data: read, write, accessed
  }
}

}  // namespace
}  // namespace passthru
