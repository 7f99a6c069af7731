// SPDX-License-Identifier: MIT
// Each walk visits a possible start at most once: 48 in the first list, 960 in the extended list.
#include "pci/capability_list.h"

#include <bitset>

namespace passthru {
namespace {

constexpr size_t kStatus = 0x06;
constexpr uint16_t kStatusHasList = 1U << 4;
constexpr size_t kHeaderType = 0x0e;
constexpr uint8_t kHeaderTypeMask = 0x7f;  // bit 7: multifunction
constexpr uint8_t kHeaderCardBus = 2;
constexpr size_t kListPointer = 0x34;
constexpr size_t kListPointerCardBus = 0x14;
constexpr size_t kFirstCapability = 0x40;  // the header is below
constexpr size_t kFirstExtended = 0x100;
constexpr size_t kConfigEnd = 4096;

}  // namespace

uint8_t config_u8(std::span<const std::byte> config, size_t offset) {
  return offset < config.size() ? std::to_integer<uint8_t>(config[offset]) : uint8_t{0xff};
}

uint16_t config_u16(std::span<const std::byte> config, size_t offset) {
  return static_cast<uint16_t>(config_u8(config, offset) | config_u8(config, offset + 1) << 8);
}

uint32_t config_u32(std::span<const std::byte> config, size_t offset) {
  return config_u16(config, offset) | static_cast<uint32_t>(config_u16(config, offset + 2)) << 16;
}

bool is_bridge(std::span<const std::byte> config) {
  const uint8_t type = config_u8(config, kHeaderType);
  return type != 0xff && (type & kHeaderTypeMask) != 0;  // all ones: cut off, or no function
}

std::vector<ListedCapability> listed_capabilities(std::span<const std::byte> config) {
  std::vector<ListedCapability> found;
  if (config.size() <= kFirstCapability) return found;
  const uint16_t status = config_u16(config, kStatus);
  if (status == 0xffff || (status & kStatusHasList) == 0) return found;  // all ones: no device

  const bool cardbus = (config_u8(config, kHeaderType) & kHeaderTypeMask) == kHeaderCardBus;
  std::bitset<256> seen;
  // The two lowest bits of a pointer are reserved and must be masked (PCI 3.0, 6.7).
  uint8_t next = config_u8(config, cardbus ? kListPointerCardBus : kListPointer) & 0xfc;
  while (next >= kFirstCapability && size_t{next} + 2 <= config.size() && !seen[next]) {
    seen.set(next);
    const uint8_t id = config_u8(config, next);
    if (id == 0xff) break;  // all ones: the device is gone, or the pointer leads nowhere
    found.push_back({.id = id, .offset = next});
    next = config_u8(config, size_t{next} + 1) & 0xfc;
  }
  return found;
}

std::optional<uint8_t> find_capability(std::span<const std::byte> config, uint8_t id) {
  for (const ListedCapability& capability : listed_capabilities(config)) {
    if (capability.id == id) return capability.offset;
  }
  return std::nullopt;
}

std::vector<ListedExtendedCapability> listed_extended_capabilities(
    std::span<const std::byte> config) {
  std::vector<ListedExtendedCapability> found;
  std::bitset<kConfigEnd> seen;
  size_t next = kFirstExtended;
  while (next >= kFirstExtended && next + 4 <= config.size() && !seen[next]) {
    seen.set(next);
    // Bits 0 to 15: id. Bits 16 to 19: version. Bits 20 to 31: offset of the next capability.
    const uint32_t header = config_u32(config, next);
    if (header == 0 || header == UINT32_MAX) break;
    found.push_back({.id = static_cast<uint16_t>(header), .offset = static_cast<uint16_t>(next)});
    next = header >> 20 & 0xffc;
  }
  return found;
}

}  // namespace passthru
