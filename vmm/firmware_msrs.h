// SPDX-License-Identifier: MIT
// The model-specific registers that firmware sets on every CPU before a kernel runs. This VMM has
// no firmware, so it sets them itself. Pure.
#pragma once

#include <asm/mtrr.h>

#include <array>
#include <cstdint>

namespace passthru {

/// A register, and the bits of it that firmware changes.
struct FirmwareMsr {
  uint32_t index;
  uint64_t keep;  ///< bits that stay as KVM's reset left them
  uint64_t set;
  const char* name;

  [[nodiscard]] constexpr uint64_t after_firmware(uint64_t after_reset) const {
    return (after_reset & keep) | set;
  }
};

/// While the MTRRs are off, Linux up to 6.1 uses no write combining. KVM before 6.11 then also
/// makes all memory of a guest uncached, if the host is Intel and a device is behind an IOMMU
/// without snoop control. Linux on Intel uses fast string operations only if their bit is on.
///
/// Intel SDM 4, table 2-2; volume 3A, 12.11.2.1: bit 11 of the default type turns the MTRRs on.
inline constexpr std::array<FirmwareMsr, 2> kFirmwareMsrs{{
    {.index = 0x2FF, .keep = 0, .set = 1 << 11 | MTRR_TYPE_WRBACK, .name = "IA32_MTRR_DEF_TYPE"},
    {.index = 0x1A0, .keep = ~uint64_t{0}, .set = 1 << 0, .name = "IA32_MISC_ENABLE"},
}};

}  // namespace passthru
