// SPDX-License-Identifier: MIT
// The two modes in which a kernel can begin (Linux, Documentation/arch/x86/boot.rst, "64-bit BOOT
// PROTOCOL"; Xen, docs/misc/pvh.pandoc).
#include "vmm/entry_state.h"

#include <linux/kvm.h>

#include "vmm/memory_map.h"

namespace passthru {
namespace {

constexpr uint8_t kCode = 0xB, kDataType = 0x3, kBusyTss = 0xB;  // types; code and data accessed
constexpr uint64_t kProtectedMode = 1 << 0, kX87Type = 1 << 4;   // CR0
constexpr uint64_t kNumericErrors = 1 << 5, kPaging = uint64_t{1} << 31;
constexpr uint64_t kPhysicalAddressExtension = 1 << 5;                    // CR4
constexpr uint64_t kLongModeEnabled = 1 << 8, kLongModeActive = 1 << 10;  // EFER
constexpr uint64_t kAlwaysSet = 1 << 1;                                   // RFLAGS

kvm_segment flat_segment(uint16_t selector, uint8_t type) {
  kvm_segment segment{};
  segment.limit = 0xFFFFFFFF;
  segment.selector = selector;
  segment.type = type;
  segment.present = 1;
  segment.db = 1;
  segment.s = 1;
  segment.g = 1;
  return segment;
}

// Both protocols accept flat segments; the GDT of the 64-bit protocol has them at these selectors.
void set_flat_segments(kvm_sregs& sregs) {
  sregs.cs = flat_segment(0x10, kCode);
  sregs.ds = sregs.es = sregs.ss = sregs.fs = sregs.gs = flat_segment(0x18, kDataType);
}

void set_long_mode(const BootEntry& entry, kvm_sregs& sregs, kvm_regs& regs) {
  sregs.cs.db = 0;
  sregs.cs.l = 1;
  sregs.gdt.base = kGdt;
  sregs.gdt.limit = 4 * 8 - 1;
  sregs.cr0 = kPaging | kNumericErrors | kX87Type | kProtectedMode;
  sregs.cr3 = entry.page_tables;
  sregs.cr4 = kPhysicalAddressExtension;
  sregs.efer = kLongModeEnabled | kLongModeActive;
  regs.rsi = entry.parameters;
}

void set_protected_mode(const BootEntry& entry, kvm_sregs& sregs, kvm_regs& regs) {
  sregs.tr = {};
  sregs.tr.limit = 0x67;
  sregs.tr.type = kBusyTss;
  sregs.tr.present = 1;
  sregs.gdt = {};  // the kernel loads its own
  sregs.cr0 = kX87Type | kProtectedMode;
  sregs.cr3 = 0;
  sregs.cr4 = 0;
  sregs.efer = 0;
  regs.rbx = entry.parameters;
}

}  // namespace

void set_entry_state(const BootEntry& entry, kvm_sregs& sregs, kvm_regs& regs) {
  set_flat_segments(sregs);
  sregs.idt.limit = 0;
  regs = {};
  regs.rip = entry.instruction;
  regs.rflags = kAlwaysSet;
  switch (entry.mode) {
    case BootEntry::Mode::Long:
      return set_long_mode(entry, sregs, regs);
    case BootEntry::Mode::Protected:
      return set_protected_mode(entry, sregs, regs);
  }
}

}  // namespace passthru
