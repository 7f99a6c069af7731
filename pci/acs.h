// SPDX-License-Identifier: MIT
// Owns reading Access Control Services of a PCI function: what it can keep apart of the traffic
// between functions that never reaches the IOMMU, and what of it is switched on. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace passthru {

/// The two registers of the capability (PCI Express 4.0, 7.7.8): bits of PCI_ACS_*.
struct Acs {
  uint16_t capability = 0;  ///< what the function can do
  uint16_t control = 0;     ///< what of it is on
  bool operator==(const Acs&) const = default;
};

/// Nothing where the function has no ACS, where it is cut off, and where `config` has no extended
/// part: see `shows_extended_config`.
std::optional<Acs> find_acs(std::span<const std::byte> config);

/// Whether `config` is all there is to read. Who is not root gets 64 bytes, and cannot know.
bool shows_extended_config(std::span<const std::byte> config);

/// The names of the bits in words: "source validation", "request redirect".. Bits without a name
/// are left out.
std::vector<std::string> acs_words(uint16_t bits);

}  // namespace passthru
