// SPDX-License-Identifier: MIT
// Owns walking the capability lists of a PCI function in bytes of its config space. Pure; the lists
// are the device's and may be hostile: the walk stays in bounds and ends, loops included. Any room
// may use it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace passthru {

/// Where one capability starts, in bytes from the start of config space.
struct ListedCapability {
  uint8_t id = 0;      ///< PCI_CAP_ID_*: 0x05 MSI, 0x10 PCI Express, 0x11 MSI-X
  uint8_t offset = 0;  ///< 0x40 to 0xfc, a multiple of 4
  bool operator==(const ListedCapability&) const = default;
};

/// The capabilities in the order of the list, each at most once (PCI 3.0, 6.7). Empty where the
/// Status register says that there is no list, or where `config` is too short to tell: an
/// unprivileged reader of sysfs gets 64 bytes. A pointer below 0x40, out of `config`, or to a place
/// seen before ends the list.
std::vector<ListedCapability> listed_capabilities(std::span<const std::byte> config);

/// The first capability with this id; `config_u8(config, *offset + n)` reads on from there.
std::optional<uint8_t> find_capability(std::span<const std::byte> config, uint8_t id);

/// Where one capability of the extended list starts (PCI Express 4.0, 7.6).
struct ListedExtendedCapability {
  uint16_t id = 0;      ///< PCI_EXT_CAP_ID_*: 0x01 AER, 0x0d ACS
  uint16_t offset = 0;  ///< 0x100 to 0xffc, a multiple of 4
  bool operator==(const ListedExtendedCapability&) const = default;
};

/// The extended capabilities in the order of the list, each at most once. Empty where `config` has
/// no extended part: conventional PCI has 256 bytes, and who is not root gets 64. What ends the
/// other list ends this one.
std::vector<ListedExtendedCapability> listed_extended_capabilities(
    std::span<const std::byte> config);

/// Little-endian fields of config space; all ones where `config` ends before them, as on the bus.
uint8_t config_u8(std::span<const std::byte> config, size_t offset);
uint16_t config_u16(std::span<const std::byte> config, size_t offset);
uint32_t config_u32(std::span<const std::byte> config, size_t offset);

/// Whether the function is a bridge or a CardBus bridge: its header is not of type 0. False where
/// `config` is too short to tell or all ones.
bool is_bridge(std::span<const std::byte> config);

}  // namespace passthru
