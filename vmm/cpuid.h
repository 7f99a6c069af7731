// SPDX-License-Identifier: MIT
// The CPUID of a vCPU: KVM's supported leaves with this vCPU's place in the machine. A pure
// function.
#pragma once

#include <cstdint>
#include <vector>

namespace passthru {

/// One leaf, as kvm_cpuid_entry2.
struct CpuidEntry {
  uint32_t leaf = 0;
  uint32_t subleaf = 0;
  uint32_t flags = 0;  ///< KVM_CPUID_FLAG_...: bit 0, the subleaf matters
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
  auto operator<=>(const CpuidEntry&) const = default;
};

/// Returns `supported` as CPU `cpu` of `cpus` (at most 254) shows it: one socket, a core per CPU,
/// no threads, APIC id `cpu`.
std::vector<CpuidEntry> cpuid_of(std::vector<CpuidEntry> supported, unsigned cpu, unsigned cpus);

/// Returns how many bits a guest-physical address has. KVM names them since Linux 6.10. Before,
/// nested paging may have fewer bits than the host's CPU: this function then returns at most 48.
unsigned physical_bits(const std::vector<CpuidEntry>& supported);

}  // namespace passthru
