// SPDX-License-Identifier: MIT
// The checks in VT-d's order (5.1.4), which decides the fault that a guest sees, and the offsets of
// the fields.
#include "irq/vtd_table.h"

#include <fmt/format.h>

#include "irq/remap.h"

namespace passthru {
namespace {

constexpr uint64_t kSubhandleValid = 1U << 3;
constexpr uint64_t kCompatibilityReserved = 0x7f << 5;

constexpr uint64_t field(uint64_t half, unsigned last, unsigned first) {
  return half >> first & ((uint64_t{1} << (last - first + 1)) - 1);
}

// IRTE bits 127:64.
constexpr uint16_t source_id(const VtdIrte& entry) {
  return static_cast<uint16_t>(field(entry.high, 15, 0));
}

bool reserved_bits_set(const VtdIrte& entry, bool x2apic) {
  const uint64_t mode = field(entry.low, 7, 5);
  // Bit 15 marks a posted entry; without posting it is reserved as well.
  return field(entry.low, 15, 12) != 0 || field(entry.low, 31, 24) != 0 ||
         field(entry.high, 63, 20) != 0 || mode == 3 || mode == 6 ||
         (!x2apic && (field(entry.low, 39, 32) != 0 || field(entry.low, 63, 48) != 0));
}

// SVT, SQ and SID: the devices that may use the entry.
bool may_use(const VtdIrte& entry, uint16_t requester_id) {
  // SQ: the bits of the function number to ignore.
  constexpr uint16_t kCompared[] = {0xffff, 0xfffb, 0xfff9, 0xfff8};
  const uint16_t id = source_id(entry);
  const unsigned bus = requester_id >> 8;
  switch (field(entry.high, 19, 18)) {
    case 0:
      return true;
    case 1:
      return ((id ^ requester_id) & kCompared[field(entry.high, 17, 16)]) == 0;
    case 2:  // a range of buses: the first in bits 15:8, the last in bits 7:0
      return bus >= id >> 8 && bus <= (id & 0xffU);
    default:  // reserved: no device
      return false;
  }
}

MsiMessage message_of(const VtdIrte& entry, bool x2apic) {
  const uint64_t destination = x2apic ? field(entry.low, 63, 32) : field(entry.low, 47, 40);
  const uint64_t logical = field(entry.low, 2, 2);
  const uint64_t redirection_hint = field(entry.low, 3, 3);
  const uint64_t level = field(entry.low, 4, 4);
  const uint64_t delivery_mode = field(entry.low, 7, 5);
  const uint64_t vector = field(entry.low, 23, 16);
  // A level-triggered message asserts its level: bit 14.
  return {
      message_address(static_cast<uint32_t>(destination)) | redirection_hint << 3 | logical << 2,
      static_cast<uint32_t>(level << 15 | level << 14 | delivery_mode << 8 | vector)};
}

const char* to_string(VtdReason reason) {
  switch (reason) {
    case VtdReason::NoInterrupt:
      return "the message is not an interrupt";
    case VtdReason::ReservedInRequest:
      return "the message has reserved bits set";
    case VtdReason::IndexBeyondTable:
      return "the message names an entry beyond the end of the interrupt remapping table";
    case VtdReason::NotPresent:
      return "the interrupt remapping entry is not present";
    case VtdReason::TableUnreadable:
      return "the interrupt remapping table cannot be read";
    case VtdReason::ReservedInEntry:
      return "the interrupt remapping entry has reserved bits set or is in posted format";
    case VtdReason::CompatibilityBlocked:
      return "messages in compatibility format are blocked";
    case VtdReason::WrongSource:
      return "the interrupt remapping entry is for another device";
  }
  return "the message is not an interrupt";
}

}  // namespace

std::optional<uint32_t> vtd_index(const MsiMessage& message) {
  if (!is_interrupt_address(message.address) || !is_remappable(message.address))
    return std::nullopt;
  const uint64_t handle = field(message.address, 19, 5) | field(message.address, 2, 2) << 15;
  const bool subhandle = (message.address & kSubhandleValid) != 0;
  return static_cast<uint32_t>(handle) + (subhandle ? message.data & 0xffff : 0);
}

tl::expected<MsiMessage, VtdFault> vtd_translate(const VtdTable& table, const MsiMessage& message,
                                                 uint16_t requester_id) {
  const auto fault = [](VtdReason reason, uint32_t index, bool recorded = true) {
    return tl::unexpected(VtdFault{reason, index, recorded});
  };
  if (!is_interrupt_address(message.address)) return fault(VtdReason::NoInterrupt, 0, false);
  const auto index = vtd_index(message);
  if (!index) {
    if (table.x2apic || !table.compatibility) return fault(VtdReason::CompatibilityBlocked, 0);
    const bool delivered =
        (message.address & kCompatibilityReserved) == 0 && is_interrupt_data(message.data);
    if (!delivered) return fault(VtdReason::NoInterrupt, 0, false);
    return message;
  }
  // Without a subhandle the data is ignored.
  if ((message.address & kSubhandleValid) != 0 && message.data >> 16 != 0) {
    return fault(VtdReason::ReservedInRequest, *index);
  }
  if (*index >= table.entries) return fault(VtdReason::IndexBeyondTable, *index);
  const auto entry = table.read(*index);
  if (!entry) return fault(VtdReason::TableUnreadable, *index);

  // Fault Processing Disable also counts in an entry that is not present.
  const bool recorded = field(entry->low, 1, 1) == 0;
  if (field(entry->low, 0, 0) == 0) return fault(VtdReason::NotPresent, *index, recorded);
  if (reserved_bits_set(*entry, table.x2apic)) {
    return fault(VtdReason::ReservedInEntry, *index, recorded);
  }
  if (!may_use(*entry, requester_id)) return fault(VtdReason::WrongSource, *index, recorded);
  const MsiMessage remapped = message_of(*entry, table.x2apic);
  if (!is_interrupt_data(remapped.data)) return fault(VtdReason::NoInterrupt, *index, false);
  return remapped;
}

Error vtd_error(const VtdFault& fault) {
  std::string cause = to_string(fault.reason);
  if (fault.reason != VtdReason::NoInterrupt) {
    cause += fmt::format(" (entry {}, VT-d fault {:02x}h)", fault.index,
                         static_cast<unsigned>(fault.reason));
  }
  return {.code = EINVAL, .operation = "deliver an interrupt", .cause = std::move(cause)};
}

}  // namespace passthru
