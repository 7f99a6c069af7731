// SPDX-License-Identifier: MIT
// Facts of sysfs that explain why the kernel does not give a device to an address space: memory
// that firmware reserves for the device, and whether interrupts are remapped.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pci/sysfs.h"
#include "vfio/kernel.h"

namespace passthru {

struct AttachFacts {
  /// Memory that firmware reserves for devices of the group, and that the kernel must keep mapped
  /// one to one (RMRR of VT-d, IVMD of AMD-Vi). The kernel gives these devices to nobody.
  std::vector<IovaRange> direct_regions{};
  /// Nothing if sysfs does not show it.
  std::optional<bool> interrupt_remapping{};
};

/// Reads the facts when they are needed. Empty: no facts are known.
using AttachFactsReader = std::function<AttachFacts()>;

/// Returns the ranges of type "direct" in a file reserved_regions of an IOMMU group. The kernel
/// assigns devices with ranges of type "direct-relaxable" (graphics, USB), so these are not
/// returned. Skips lines that are not understood.
std::vector<IovaRange> parse_direct_regions(std::string_view reserved_regions);
/// Returns the same for a group; empty if the file cannot be read.
std::vector<IovaRange> direct_regions(const Sysfs& sysfs, uint32_t group);

/// Returns the other ranges in the same file that devices cannot use for DMA: of type "reserved" or
/// "msi", and of types that later kernels add.
std::vector<IovaRange> parse_unusable_regions(std::string_view reserved_regions);
/// Returns the same for a group; empty if the file cannot be read.
std::vector<IovaRange> unusable_regions(const Sysfs& sysfs, uint32_t group);

/// Reads the facts about a group. Interrupts are remapped if an interrupt chip in use says so:
/// Linux puts "IR-" before its name.
AttachFacts attach_facts(const Sysfs& sysfs, uint32_t group);

/// Returns "0xdf000000 to 0xdfffffff", several of them with commas.
std::string to_string(const std::vector<IovaRange>& ranges);

}  // namespace passthru
