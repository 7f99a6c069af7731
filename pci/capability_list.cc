// SPDX-License-Identifier: MIT
// Each walk visits a possible start at most once: 48 in the first list, 960 in the extended list.
#include "pci/capability_list.h"

#include <linux/pci_regs.h>

#include <bitset>

namespace passthru {
namespace {

constexpr uint8_t kHeaderTypeMask = 0x7f;  // bit 7: multifunction

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
  const uint8_t type = config_u8(config, PCI_HEADER_TYPE);
  return type != 0xff && (type & kHeaderTypeMask) != 0;  // all ones: cut off, or no function
}

std::vector<ListedCapability> listed_capabilities(std::span<const std::byte> config) {
  std::vector<ListedCapability> found;
  if (config.size() <= PCI_STD_HEADER_SIZEOF) return found;
  const uint16_t status = config_u16(config, PCI_STATUS);
  if (status == 0xffff || (status & PCI_STATUS_CAP_LIST) == 0) return found;  // all ones: no device

  const bool cardbus =
      (config_u8(config, PCI_HEADER_TYPE) & kHeaderTypeMask) == PCI_HEADER_TYPE_CARDBUS;
  std::bitset<256> seen;
  // The two lowest bits of a pointer are reserved and must be masked (PCI 3.0, 6.7).
  uint8_t next = config_u8(config, cardbus ? PCI_CB_CAPABILITY_LIST : PCI_CAPABILITY_LIST) & 0xfc;
  while (next >= PCI_STD_HEADER_SIZEOF && size_t{next} + 2 <= config.size() && !seen[next]) {
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
  std::bitset<PCI_CFG_SPACE_EXP_SIZE> seen;
  size_t next = PCI_CFG_SPACE_SIZE;
  while (next >= PCI_CFG_SPACE_SIZE && next + 4 <= config.size() && !seen[next]) {
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
