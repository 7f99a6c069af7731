// SPDX-License-Identifier: MIT
// What a guest's message is on x86: an interrupt, a request to an interrupt remapping unit, or a
// write to memory. Pure; Router::translate is built from it.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "irq/msi_message.h"

namespace passthru {

/// Returns whether a device's write to `address` is an interrupt request (SDM volume 3, Message
/// Address Register Format; VT-d 5.1.2). All other writes go to memory.
constexpr bool is_interrupt_address(uint64_t address) {
  return address >> 20 == 0xfee;
}

/// Returns whether an interrupt request is in remappable format: it names an entry of a table
/// instead of a CPU (VT-d 5.1.2.2). Otherwise it is in compatibility format (5.1.2.1).
constexpr bool is_remappable(uint64_t address) {
  return (address & 1U << 4) != 0;
}

/// Returns whether this data makes an interrupt. Bits 31:16, two delivery modes and the vectors
/// below 16 are reserved. Bits 13:11 are reserved too, but pass here as in hardware. They are
/// status bits in an IOAPIC's entry, from which a guest may derive its messages.
constexpr bool is_interrupt_data(uint32_t data) {
  const uint32_t vector = data & 0xff;
  const uint32_t mode = data >> 8 & 7;  // 0 fixed, 1 lowest priority: only these carry a vector
  return data >> 16 == 0 && mode != 3 && mode != 6 && (mode > 1 || vector >= 16);
}

/// Returns the address of a route's message to an APIC, in compatibility format. Bits 31:8 of an
/// APIC id above 255 go into bits 63:40 of the address. KVM expects them there
/// (KVM_X2APIC_API_USE_32BIT_IDS); no device could write them.
constexpr uint64_t message_address(uint32_t destination) {
  return uint64_t{destination >> 8} << 40 | uint64_t{0xfee} << 20 | (destination & 0xff) << 12;
}

/// Returns the message to route for a guest without interrupt remapping: the message itself.
/// Errors:
/// - EINVAL: the address is not an interrupt address, is in remappable format or has reserved bits,
///   or the data has. The cause is a text for users.
Result<MsiMessage> translate_plain(const MsiMessage& message);

/// The same for a guest that was offered KVM_FEATURE_MSI_EXT_DEST_ID: bits 11:5 of the address are
/// bits 14:8 of the destination id.
Result<MsiMessage> translate_extended(const MsiMessage& message);

}  // namespace passthru
