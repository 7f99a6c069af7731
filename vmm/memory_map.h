// SPDX-License-Identifier: MIT
// The layout of the guest's address spaces. dsdt.asl has the same numbers for the guest: change
// both together.
#pragma once

#include <cstdint>

namespace passthru {

constexpr uint64_t kMiB = uint64_t{1} << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemoryStep = 2 * kMiB;  ///< guest RAM is a multiple of it

// Memory. RAM begins at 0, has a hole from kLowRamEnd to 4 GiB, and continues there. It may have
// more holes (ram_layout.h).
constexpr uint64_t kLowRamEnd = 0xC0000000;
constexpr uint64_t kHighRamStart = 4 * kGiB;
constexpr uint64_t kWindow32 = kLowRamEnd;  ///< for BARs, up to kEcam: 1003 MiB
constexpr uint64_t kEcam = 0xFEB00000;
constexpr uint64_t kEcamSize = kMiB;  ///< one bus
constexpr uint64_t kIoapic = 0xFEC00000;
constexpr uint64_t kLocalApic = 0xFEE00000;
/// KVM on Intel needs four pages of its own below 4 GiB: one for identity paging, three for a TSS.
constexpr uint64_t kKvmIdentityPage = 0xFEFFC000;
constexpr uint64_t kKvmTss = 0xFEFFD000;
/// 64-bit BARs: 256 GiB, all within the 39 bits that every IOMMU and every recent CPU can address.
/// Both windows grow if the BARs need it (bar_windows.h).
constexpr uint64_t kWindow64 = 256 * kGiB;

// Ports. BARs get 0x1000 to 0xFFFF.
constexpr uint16_t kKeyboardPort = 0x64;
constexpr uint16_t kSerialPort = 0x3F8;
constexpr uint16_t kPowerPort = 0x600;
constexpr uint16_t kResetPort = 0xCF9;
constexpr uint16_t kPciConfigPort = 0xCF8;

// Interrupts: GSI n is pin n of the IOAPIC.
constexpr uint32_t kSerialGsi = 4;
constexpr uint32_t kSciGsi = 9;
constexpr uint32_t kIntxGsi = 16;  ///< the first of eight GSIs of the swizzled INTx pins
constexpr uint32_t kPins = 24;

/// Returns the GSI of INTx pin `pin` (0 = INTA#) in slot `slot`, as _PRT in dsdt.asl has it.
constexpr uint32_t intx_gsi(unsigned slot, unsigned pin) {
  return kIntxGsi + (slot + pin) % 8;
}

// The structures that the VMM puts into low RAM before the guest starts.
constexpr uint64_t kGdt = 0x500;
constexpr uint64_t kBootParams = 0x7000;  ///< of a bzImage: a page
constexpr uint64_t kPageTables = 0x9000;  ///< of a bzImage: six pages
/// An ELF kernel finds these in the page where a bzImage finds its boot parameters.
constexpr uint64_t kStartInfo = kBootParams;
constexpr uint64_t kModuleList = kStartInfo + 0x40;
constexpr uint64_t kStartInfoMap = kStartInfo + 0x80;
constexpr uint64_t kCommandLine = 0x20000;
constexpr uint64_t kLowRamUsable = 0x9FC00;  ///< RAM is below; a PC's EBDA and ROMs are above
constexpr uint64_t kAcpiTables = 0xE0000;    ///< a guest searches the RSDP here (ACPI 5.2.5.1)
constexpr uint64_t kKernel = kMiB;

}  // namespace passthru
