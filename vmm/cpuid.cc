// SPDX-License-Identifier: MIT
// The leaves that depend on the vCPU (Intel SDM 2A, CPUID; AMD APM 3, appendix E).
#include "vmm/cpuid.h"

#include <algorithm>
#include <bit>

namespace passthru {
namespace {

constexpr uint32_t kSubleafMatters = 1;
constexpr uint32_t kAmdEbx = 0x68747541, kHygonEbx = 0x6F677948;  // "Auth", "Hygo"

uint32_t bits(uint32_t value, unsigned low, unsigned count, uint32_t field) {
  const uint32_t mask = ((uint32_t{1} << count) - 1) << low;
  return (value & ~mask) | (field << low & mask);
}

// Leaves 4 and 0x8000001D: the first two levels of cache are a core's own, the third is shared.
void set_cache_sharing(CpuidEntry& entry, uint32_t ids, bool count_cores) {
  const uint32_t level = entry.eax >> 5 & 0x7;
  entry.eax = bits(entry.eax, 14, 12, level >= 3 ? ids - 1 : 0);
  if (count_cores) entry.eax = bits(entry.eax, 26, 6, std::min<uint32_t>(ids - 1, 63));
}

// Leaf 0xB: level 0 is a core with one thread, level 1 is the socket with all of them.
void append_topology(std::vector<CpuidEntry>& entries, unsigned cpu, unsigned cpus,
                     unsigned shift) {
  constexpr uint32_t kThreads = 1 << 8, kCores = 2 << 8;
  entries.push_back({.leaf = 0xB,
                     .subleaf = 0,
                     .flags = kSubleafMatters,
                     .eax = 0,
                     .ebx = 1,
                     .ecx = 0 | kThreads,
                     .edx = cpu});
  entries.push_back({.leaf = 0xB,
                     .subleaf = 1,
                     .flags = kSubleafMatters,
                     .eax = shift,
                     .ebx = cpus,
                     .ecx = 1 | kCores,
                     .edx = cpu});
  entries.push_back({.leaf = 0xB,
                     .subleaf = 2,
                     .flags = kSubleafMatters,
                     .eax = 0,
                     .ebx = 0,
                     .ecx = 2,
                     .edx = cpu});
}

}  // namespace

std::vector<CpuidEntry> cpuid_of(std::vector<CpuidEntry> supported, unsigned cpu, unsigned cpus) {
  constexpr uint32_t kHyperthreading = 1u << 28, kTscDeadline = 1u << 24, kHypervisor = 1u << 31;
  constexpr uint32_t kAmdCoreCountValid = 1u << 1;
  const auto shift = static_cast<unsigned>(std::bit_width(cpus - 1));
  const uint32_t ids = uint32_t{1} << shift;  // APIC ids of the socket

  // These leaves have the host's topology.
  std::erase_if(supported, [](const auto& e) { return e.leaf == 0xB || e.leaf == 0x1F; });
  const auto basic =
      std::find_if(supported.begin(), supported.end(), [](const auto& e) { return e.leaf == 0; });
  const bool amd = basic != supported.end() && (basic->ebx == kAmdEbx || basic->ebx == kHygonEbx);
  const bool has_topology = basic != supported.end() && basic->eax >= 0xB;

  for (CpuidEntry& entry : supported) {
    switch (entry.leaf) {
      case 0x1:
        entry.ebx = bits(entry.ebx, 24, 8, cpu);
        entry.ebx = bits(entry.ebx, 16, 8, cpus > 1 ? std::min<uint32_t>(ids, 255) : 0);
        // KVM emulates the deadline timer for every CPU, but the VMM must report it.
        entry.ecx |= kTscDeadline | kHypervisor;
        entry.edx = cpus > 1 ? entry.edx | kHyperthreading : entry.edx & ~kHyperthreading;
        break;
      case 0x4:
        if (entry.eax & 0x1F) set_cache_sharing(entry, ids, true);
        break;
      case 0x80000001:
        if (amd && cpus > 1) entry.ecx |= kAmdCoreCountValid;
        break;
      case 0x80000008:
        if (amd) entry.ecx = (cpus - 1) | shift << 12;
        break;
      case 0x8000001D:
        if (entry.eax & 0x1F) set_cache_sharing(entry, ids, false);
        break;
      case 0x8000001E:
        entry.eax = cpu;
        entry.ebx = cpu;  // core id; one thread each
        entry.ecx = 0;    // one node
        break;
      default:
        break;
    }
  }
  if (has_topology) append_topology(supported, cpu, cpus, shift);
  return supported;
}

unsigned physical_bits(const std::vector<CpuidEntry>& supported) {
  constexpr uint32_t kAddressSizes = 0x80000008;
  constexpr unsigned kWithoutLeaf = 36, kFourLevels = 48;
  for (const CpuidEntry& entry : supported) {
    if (entry.leaf != kAddressSizes) continue;
    const unsigned of_guests = entry.eax >> 16 & 0xFF;
    return of_guests != 0 ? of_guests : std::min(entry.eax & 0xFF, kFourLevels);
  }
  return kWithoutLeaf;
}

}  // namespace passthru
