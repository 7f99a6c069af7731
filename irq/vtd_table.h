// SPDX-License-Identifier: MIT
// Owns the interrupt remapping of Intel VT-d: a message in remappable format, looked up in the
// table that a VMM with a virtual IOMMU has for its guest. Pure, for the VMM's
// Hypervisor::translate. Sections are those of the VT-d specification 3.3 and later.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <tl/expected.hpp>

#include "base/result.h"
#include "irq/msi_message.h"

namespace passthru {

/// An entry of the table (9.10), as two little-endian halves: bits 63:0 and bits 127:64.
struct VtdIrte {
  uint64_t low = 0;
  uint64_t high = 0;
};

/// What the virtual IOMMU's registers say of its table.
struct VtdTable {
  /// Number of entries, 2^(S + 1) of the Interrupt Remapping Table Address register: 2 to 65,536.
  uint32_t entries = 0;
  /// Extended Interrupt Mode (EIME): destination ids have 32 bits.
  bool x2apic = false;
  /// Messages in compatibility format pass (CFIS of Global Status); never with EIME.
  bool compatibility = false;
  /// Reads an entry, `index` below `entries`. It returns a copy, because the guest may write the
  /// table meanwhile. Nothing: the table is not in the guest's memory.
  std::function<std::optional<VtdIrte>(uint32_t index)> read{};
};

/// Why a message is not delivered. From 20h on: the fault reasons of Interrupt Remapping (7.2.1
/// and the appendix of fault reasons), as they go into a fault recording register.
enum class VtdReason : uint8_t {
  NoInterrupt = 0,           ///< not remapping's fault: a write to memory, an illegal vector
  ReservedInRequest = 0x20,  ///< data bits 31:16 of a message with a subhandle
  IndexBeyondTable = 0x21,
  NotPresent = 0x22,
  TableUnreadable = 0x23,
  ReservedInEntry = 0x24,  ///< also an entry in posted format, which is not offered
  CompatibilityBlocked = 0x25,
  WrongSource = 0x26,  ///< another device may use the entry, this one may not
};

struct VtdFault {
  VtdReason reason = VtdReason::NoInterrupt;
  uint32_t index = 0;     ///< of the entry; 0 where none is named
  bool recorded = false;  ///< in the virtual IOMMU's registers: not where the entry has FPD set
  bool operator==(const VtdFault&) const = default;
};

/// What the message of the device `requester_id` becomes: what Hypervisor::translate returns. The
/// VMM records the fault, if that is to be recorded, and returns `vtd_error` of it. It is asked
/// when a vector goes live, so a fault is told ahead of the interrupt that hardware would tell it
/// with.
[[nodiscard]] tl::expected<MsiMessage, VtdFault> vtd_translate(const VtdTable& table,
                                                               const MsiMessage& message,
                                                               uint16_t requester_id);

/// The fault as an Error (EINVAL) whose cause says it in words.
[[nodiscard]] Error vtd_error(const VtdFault& fault);

/// The index of the entry that a message names (5.1.3), at most 131,070; nothing where it is not in
/// remappable format. For a VMM's interrupt entry cache invalidation: it tells which messages of a
/// device are concerned.
[[nodiscard]] std::optional<uint32_t> vtd_index(const MsiMessage& message);

}  // namespace passthru
