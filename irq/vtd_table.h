// SPDX-License-Identifier: MIT
// The interrupt remapping of Intel VT-d: looks up a message in remappable format in a guest's
// table. For a VMM with a virtual IOMMU, which calls it in Hypervisor::translate. Pure. Sections
// are those of the VT-d specification 3.3 and later.
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

/// What the virtual IOMMU's registers say about its table.
struct VtdTable {
  /// Number of entries, 2^(S + 1) of the Interrupt Remapping Table Address register: 2 to 65,536.
  uint32_t entries = 0;
  /// Extended Interrupt Mode (EIME): destination ids have 32 bits.
  bool x2apic = false;
  /// Messages in compatibility format pass (CFIS of Global Status); never with EIME.
  bool compatibility = false;
  /// Returns a copy of the entry at `index`, which is below `entries`. It copies because the guest
  /// may write the table meanwhile. Returns nullopt if the table is not in the guest's memory.
  std::function<std::optional<VtdIrte>(uint32_t index)> read{};
};

/// Why a message is not delivered. Values from 20h on are the fault reasons of Interrupt Remapping
/// (7.2.1 and the appendix of fault reasons), as in a fault recording register.
enum class VtdReason : uint8_t {
  NoInterrupt = 0,           ///< not a remapping fault: a write to memory, an illegal vector
  ReservedInRequest = 0x20,  ///< data bits 31:16 of a message with a subhandle
  IndexBeyondTable = 0x21,
  NotPresent = 0x22,
  TableUnreadable = 0x23,
  ReservedInEntry = 0x24,  ///< also an entry in posted format, which is not supported
  CompatibilityBlocked = 0x25,
  WrongSource = 0x26,  ///< only another device may use the entry
};

struct VtdFault {
  VtdReason reason = VtdReason::NoInterrupt;
  uint32_t index = 0;     ///< of the entry; 0 if the message names no entry
  bool recorded = false;  ///< in the virtual IOMMU's registers: false if the entry has FPD set
  bool operator==(const VtdFault&) const = default;
};

/// Translates a message of the device `requester_id`, for Hypervisor::translate. The VMM records
/// the fault if `recorded` is set, and returns `vtd_error` of it. The library translates when a
/// vector goes live. So the guest sees a fault earlier than on hardware, which reports it with the
/// interrupt.
[[nodiscard]] tl::expected<MsiMessage, VtdFault> vtd_translate(const VtdTable& table,
                                                               const MsiMessage& message,
                                                               uint16_t requester_id);

/// Returns the fault as an Error (EINVAL) whose cause describes it.
[[nodiscard]] Error vtd_error(const VtdFault& fault);

/// Returns the index of the entry that a message names (5.1.3), at most 131,070. Returns nullopt if
/// the message is not in remappable format. For a VMM's interrupt entry cache invalidation: it
/// selects the messages of a device that the invalidation affects.
[[nodiscard]] std::optional<uint32_t> vtd_index(const MsiMessage& message);

}  // namespace passthru
