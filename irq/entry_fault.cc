// SPDX-License-Identifier: MIT
// The order in which an entry is checked for faults.
#include "irq/entry_fault.h"

#include "irq/remap.h"

namespace passthru {
namespace {

constexpr MsixEntry kNoAnswer = {UINT32_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX};

// Returns whether the host may have changed the message `before` into `now`.
bool moved_by_host(const MsiMessage& before, const MsiMessage& now) {
  return !is_remappable(before.address) && !is_remappable(now.address) &&
         is_interrupt_data(now.data);
}

}  // namespace

EntryFault entry_fault(const MsixEntry& found, const std::optional<MsixEntry>& before) {
  if (found == kNoAnswer) return EntryFault::NoAnswer;
  const MsiMessage message = found.message();
  if (message == MsiMessage{}) return EntryFault::Empty;
  if (!is_interrupt_address(message.address)) return EntryFault::NoMessage;
  if (before && before->message() != message && !moved_by_host(before->message(), message)) {
    return EntryFault::Changed;
  }
  return found.masked() ? EntryFault::Masked : EntryFault::None;
}

bool calls_for_a_look(const MsixEntry& glance, const std::optional<MsixEntry>& before) {
  return glance.masked() || !is_interrupt_address(glance.address_low) ||
         (before && before->address_low != glance.address_low);
}

}  // namespace passthru
