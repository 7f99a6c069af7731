// SPDX-License-Identifier: MIT
// Owns what a guest would get of a device's BARs that none has yet: from what sysfs tells of the
// device, on the assumption that VFIO maps all that it may. Pure: nothing is opened.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "device/inspection.h"
#include "mmap/bar_info.h"
#include "pci/msix_layout.h"

namespace passthru::tools {

/// A BAR as the host's kernel has it.
struct HostBar {
  BarInfo shape{};                    ///< size 0: there is no such BAR
  std::optional<uint64_t> address{};  ///< port for I/O BARs; nothing: the kernel found no room
  bool operator==(const HostBar&) const = default;
};
using HostBars = std::array<HostBar, kBars>;

/// Reads `resource`, a file of sysfs: a line for each BAR and the expansion ROM, with first and
/// last address and the flags of linux/ioport.h. Lines that make no sense are no BAR.
HostBars parse_resources(std::string_view text);

/// Whether table and pending bits are where a guest can be given them: each in a memory BAR, and
/// apart. A guest does not see a capability of which that is not true.
bool msix_usable(const HostBars& bars, const MsixLayout& msix);

/// The BARs with their spans, ascending; in no guest, and nothing counted. `msix`: none, or usable.
/// Below a page, a BAR that begins one is taken to have it for itself: VFIO looks and maps it then.
std::vector<BarInspection> plan_bars(const HostBars& bars, const std::optional<MsixLayout>& msix,
                                     uint64_t page_size);

/// The same where it is not known what of them is MSI-X's: a BAR of which any may be mapped has no
/// spans.
std::vector<BarInspection> outline_bars(const HostBars& bars, uint64_t page_size);

}  // namespace passthru::tools
