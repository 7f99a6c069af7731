// SPDX-License-Identifier: MIT
// Owns what a guest's message is on x86: an interrupt, a request to an interrupt remapping unit, or
// a write that is no interrupt. Pure; what Router::translate answers is made of it.
#pragma once

#include <cstdint>

#include "base/result.h"
#include "irq/msi_message.h"

namespace passthru {

/// Whether a device's write to `address` is an interrupt request (SDM volume 3, Message Address
/// Register Format; VT-d 5.1.2). All other writes go to memory.
constexpr bool is_interrupt_address(uint64_t address) {
  return address >> 20 == 0xfee;
}

/// Whether an interrupt request is in remappable format: it names an entry of a table instead of a
/// CPU (VT-d 5.1.2.2). Otherwise it is in compatibility format (5.1.2.1).
constexpr bool is_remappable(uint64_t address) {
  return (address & 1U << 4) != 0;
}

/// Whether this data makes an interrupt: bits 31:16 are reserved, and so are two delivery modes and
/// the vectors below 16. Bits 13:11 are reserved too, but are let pass as hardware does: they are
/// status bits in an IOAPIC's entry, and a guest may derive its messages from one.
constexpr bool is_interrupt_data(uint32_t data) {
  const uint32_t vector = data & 0xff;
  const uint32_t mode = data >> 8 & 7;  // 0 fixed, 1 lowest priority: those carry a vector
  return data >> 16 == 0 && mode != 3 && mode != 6 && (mode > 1 || vector >= 16);
}

/// The messages of a route are in compatibility format. Ids of APICs beyond 255 have their bits
/// 31:8 in bits 63:40 of the address, which is where KVM takes them
/// (KVM_X2APIC_API_USE_32BIT_IDS), and no device could have written.
constexpr uint64_t message_address(uint32_t destination) {
  return uint64_t{destination >> 8} << 40 | uint64_t{0xfee} << 20 | (destination & 0xff) << 12;
}

/// What is routed for the message of a guest without interrupt remapping: the message itself.
/// EINVAL, with the cause in words for a person: it is no interrupt address, has reserved bits set,
/// or is in remappable format.
Result<MsiMessage> translate_plain(const MsiMessage& message);

/// The same for a guest that was offered KVM_FEATURE_MSI_EXT_DEST_ID: bits 11:5 of the address are
/// bits 14:8 of the destination id.
Result<MsiMessage> translate_extended(const MsiMessage& message);

}  // namespace passthru
