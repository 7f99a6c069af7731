// SPDX-License-Identifier: MIT
// Access Control Services of a PCI function: which traffic between functions, out of the IOMMU's
// reach, it can separate. Pure.
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
  uint16_t capability = 0;  ///< the bits that the function supports
  uint16_t control = 0;     ///< the bits that are switched on
  bool operator==(const Acs&) const = default;
};

/// Returns nullopt if the function has no ACS, if the capability is cut off, or if `config` has no
/// extended part (see `shows_extended_config`).
std::optional<Acs> find_acs(std::span<const std::byte> config);

/// Returns whether `config` can show the extended capabilities. Without root, sysfs gives only 64
/// bytes.
bool shows_extended_config(std::span<const std::byte> config);

/// Returns the names of the bits: "source validation", "request redirect"... Bits without a name
/// are left out.
std::vector<std::string> acs_words(uint16_t bits);

}  // namespace passthru
