// SPDX-License-Identifier: MIT
// The rule that tells a sound entry of the device's MSI-X table from a damaged entry. Restoring and
// `passthru msix show` share it, so they always agree. Pure.
#pragma once

#include <optional>

#include "irq/msix_table.h"

namespace passthru {

/// What is wrong with the entry of a bound vector.
enum class EntryFault {
  None,
  NoAnswer,   ///< all ones: the device does not decode memory, or is gone
  Empty,      ///< no message: a reset has cleared the entry
  NoMessage,  ///< its address is not an interrupt address: the device would write into memory
  Changed,    ///< the message changed since `before`, and not because the host moved the interrupt
  Masked,     ///< a good message, masked; see below
};

/// Compares `found` with what the host writes into an entry: an interrupt message, unmasked. VFIO
/// leaves no bound vector masked.
///
/// The rule is the same on every x86 host. A message in remappable format or in compatibility
/// format may be right. AMD's IOMMU and Intel's VMD use compatibility format for remapped
/// interrupts, with an index as data.
///
/// `before` is the entry as read earlier, with no SET_IRQS in between. A difference shows that
/// something else wrote the entry. It does not show which message is right: both are interrupts,
/// and either may be the host's. The host itself changes a message only without interrupt
/// remapping, when it moves an interrupt to another CPU. Both messages are then in compatibility
/// format.
///
/// Masked is reported only if everything else is right. While Linux moves an interrupt without
/// remapping (`msi_set_affinity`), it masks the entry for some microseconds: read the entry again
/// before you act.
EntryFault entry_fault(const MsixEntry& found,
                       const std::optional<MsixEntry>& before = std::nullopt);

/// Returns whether a glance (PhysicalTable::glance) calls for reading the whole entry. Sees every
/// fault except a message that changed only in its data or in the upper half of its address.
bool calls_for_a_look(const MsixEntry& glance, const std::optional<MsixEntry>& before);

}  // namespace passthru
