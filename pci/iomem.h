// SPDX-License-Identifier: MIT
// The users of a BAR's memory in the host, from /proc/iomem and from the sysfs file `resource`.
// Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "pci/bdf.h"

namespace passthru {

/// A range of memory of the host, the last address included.
struct HostRange {
  uint64_t first = 0;
  uint64_t last = 0;
  bool operator==(const HostRange&) const = default;
};

/// Returns the memory of a BAR, from its line in `resource`. Nothing if the BAR does not exist, is
/// an I/O BAR or has no address.
std::optional<HostRange> bar_range(std::string_view resource, unsigned bar);

/// Returns the names of the resources in /proc/iomem that lie within the memory of a device's BAR,
/// in the order of the file: "BOOTFB", or the name that a driver chose. The device's own line, the
/// bridges above it and vfio-pci do not count. Empty for an unprivileged reader, who sees no
/// addresses.
std::vector<std::string> bar_holders(std::string_view iomem, Bdf device, const HostRange& bar);

}  // namespace passthru
