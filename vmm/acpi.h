// SPDX-License-Identifier: MIT
// The ACPI tables of the guest. A pure function; the DSDT is compiled from dsdt.asl.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "vmm/bar_windows.h"

namespace passthru {

/// Returns the RSDP first, then DSDT, FACS, FADT, MADT, MCFG and XSDT, with checksums. The guest
/// must find them at guest-physical `address` (64-byte aligned). `cpus` is at most 254; CPU n has
/// APIC id n. The host bridge announces `windows` for memory BARs.
std::vector<std::byte> build_acpi_tables(uint64_t address, unsigned cpus,
                                         const BarWindows& windows = {});

}  // namespace passthru
