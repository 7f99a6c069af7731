// SPDX-License-Identifier: MIT
// Fuzzes a guest's messages and its interrupt remapping table. The code must not read beyond the
// table, and every message that it delivers must be an interrupt.
#include <algorithm>
#include <cstring>
#include <vector>

#include "irq/remap.h"
#include "irq/vtd_table.h"

namespace passthru {
namespace {

struct Header {
  uint32_t entries;
  uint16_t requester_id;
  uint8_t flags;
  uint8_t unused;
};

void expect(bool condition) {
  if (!condition) __builtin_trap();
}

// Without bits 31:8 of its destination id, a routed message must be valid for a plain guest.
void expect_interrupt(const MsiMessage& message, uint64_t highest_id) {
  expect(message.address >> 40 <= highest_id >> 8);
  expect((message.address >> 32 & 0xff) == 0);  // otherwise KVM refuses all routes
  expect(translate_plain({message.address & UINT32_MAX, message.data}).has_value());
}

void run(const uint8_t* data, size_t size) {
  Header header{};
  if (size < sizeof header) return;
  std::memcpy(&header, data, sizeof header);
  data += sizeof header;
  size -= sizeof header;

  // The same bytes are the table and, 12 at a time, the messages.
  std::vector<VtdIrte> entries(size / sizeof(VtdIrte));
  if (!entries.empty()) std::memcpy(entries.data(), data, entries.size() * sizeof(VtdIrte));
  VtdTable table{.entries = header.entries % 65'537,
                 .x2apic = (header.flags & 1) != 0,
                 .compatibility = (header.flags & 2) != 0};
  table.read = [&](uint32_t index) -> std::optional<VtdIrte> {
    expect(index < table.entries);
    if (entries.empty()) return std::nullopt;
    return entries[index % entries.size()];
  };

  for (MsiMessage message; size >= 12; data += 12, size -= 12) {
    std::memcpy(&message.address, data, 8);
    std::memcpy(&message.data, data + 8, 4);
    if ((header.flags & 4) != 0) message.address = 0xfee0'0000 | (message.address & 0xf'ffff);
    if (const auto plain = translate_plain(message)) {
      expect(*plain == message);
      expect_interrupt(*plain, 0xff);
    }
    if (const auto wide = translate_extended(message)) expect_interrupt(*wide, 0x7fff);
    const auto remapped = vtd_translate(table, message, header.requester_id);
    if (remapped) {
      expect_interrupt(*remapped, table.x2apic ? UINT32_MAX : 0xff);
    } else {
      expect(!vtd_error(remapped.error()).message().empty());
      expect(!remapped.error().recorded || remapped.error().reason != VtdReason::NoInterrupt);
    }
  }
}

}  // namespace
}  // namespace passthru

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  passthru::run(data, std::min<size_t>(size, 8192));
  return 0;
}
