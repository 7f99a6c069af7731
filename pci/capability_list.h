// SPDX-License-Identifier: MIT
// The capability lists of a PCI function, read from a copy of its config space. Pure. The device
// may be hostile: each walk stays in bounds and ends, even in a loop.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace passthru {

/// The start of a capability, in bytes from the start of config space.
struct ListedCapability {
  uint8_t id = 0;      ///< PCI_CAP_ID_*: 0x05 MSI, 0x10 PCI Express, 0x11 MSI-X
  uint8_t offset = 0;  ///< 0x40 to 0xfc, a multiple of 4
  bool operator==(const ListedCapability&) const = default;
};

/// Returns the capabilities in the order of the list, each at most once (PCI 3.0, 6.7). The result
/// is empty if the Status register reports no list, or if `config` is too short: without root,
/// sysfs gives 64 bytes. These pointers end the list: below 0x40, out of `config`, to an offset
/// that was visited before.
std::vector<ListedCapability> listed_capabilities(std::span<const std::byte> config);

/// Returns the offset of the first capability with this id.
std::optional<uint8_t> find_capability(std::span<const std::byte> config, uint8_t id);

/// The start of an extended capability (PCI Express 4.0, 7.6).
struct ListedExtendedCapability {
  uint16_t id = 0;      ///< PCI_EXT_CAP_ID_*: 0x01 AER, 0x0d ACS
  uint16_t offset = 0;  ///< 0x100 to 0xffc, a multiple of 4
  bool operator==(const ListedExtendedCapability&) const = default;
};

/// Returns the extended capabilities in the order of the list, each at most once. The result is
/// empty if `config` has no extended part: conventional PCI has 256 bytes, and without root sysfs
/// gives 64. The list ends as the first list does.
std::vector<ListedExtendedCapability> listed_extended_capabilities(
    std::span<const std::byte> config);

/// Return little-endian fields of config space; all ones if `config` ends before them, as on the
/// bus.
uint8_t config_u8(std::span<const std::byte> config, size_t offset);
uint16_t config_u16(std::span<const std::byte> config, size_t offset);
uint32_t config_u32(std::span<const std::byte> config, size_t offset);

/// Returns whether the function is a bridge or a CardBus bridge (its header is not type 0). False
/// if `config` is too short or all ones.
bool is_bridge(std::span<const std::byte> config);

}  // namespace passthru
