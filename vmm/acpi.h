// SPDX-License-Identifier: MIT
// Owns the ACPI tables of the guest. A pure function; the DSDT is compiled from dsdt.asl.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace passthru {

/// RSDP first, then XSDT, FADT, FACS, DSDT, MADT and MCFG, with checksums, for a guest that finds
/// them at guest-physical `address` (64-byte aligned). `cpus` is at most 254; CPU n has APIC id n.
std::vector<std::byte> build_acpi_tables(uint64_t address, unsigned cpus);

}  // namespace passthru
