// SPDX-License-Identifier: MIT
// The rule that tells a sound entry of the device's MSI-X table from a damaged one. Restoring and
// `passthru msix show` share it, so they always agree. Pure.
#pragma once

#include <optional>

#include "irq/msix_table.h"

namespace passthru {

/// What is wrong with the entry of a vector that the host has bound.
enum class EntryFault {
  None,
  NoAnswer,   ///< all ones: the device does not decode memory, or is gone
  Empty,      ///< no message: a reset has cleared the entry
  NoMessage,  ///< its address is no interrupt address: the device would write into memory
  Changed,    ///< another message than at the last look, and the host has not moved the interrupt
  Masked,     ///< a good message, masked; see below
};

/// Compares `found` with what the host writes into an entry: an interrupt message, unmasked (VFIO
/// leaves no bound vector masked).
///
/// The rule is the same on every x86 host. A message in remappable format, or in compatibility
/// format, may be right: AMD's IOMMU and Intel's VMD use the latter for remapped interrupts, with
/// an index as data.
///
/// `before` is the entry at an earlier look, with no SET_IRQS in between. It tells that somebody
/// else has written the entry, not what the entry should be: both messages are interrupts, and
/// either may be the host's. The host itself changes a message only without interrupt remapping,
/// when an interrupt moves to another CPU; both messages are then in compatibility format.
///
/// Masked is reported only if all else is right. While Linux moves an interrupt without remapping
/// (`msi_set_affinity`), it masks the entry for some microseconds: look again before you act.
EntryFault entry_fault(const MsixEntry& found,
                       const std::optional<MsixEntry>& before = std::nullopt);

/// Whether a glance (PhysicalTable::glance) calls for a look at the whole entry. Sees all faults
/// but a message that has changed in its data or the upper half of its address.
bool calls_for_a_look(const MsixEntry& glance, const std::optional<MsixEntry>& before);

}  // namespace passthru
