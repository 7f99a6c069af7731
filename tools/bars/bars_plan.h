// SPDX-License-Identifier: MIT
// The BARs that a guest would get of an unassigned device: computed from sysfs, on the assumption
// that VFIO maps all that it may. Pure: does not open the device.
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
  BarInfo shape{};                    ///< size 0: the device does not have this BAR
  std::optional<uint64_t> address{};  ///< port for I/O BARs; nothing: the kernel found no room
  bool operator==(const HostBar&) const = default;
};
using HostBars = std::array<HostBar, kBars>;

/// Parses `resource`, a file of sysfs: a line for each BAR and the expansion ROM, with first and
/// last address and the flags of linux/ioport.h. An invalid line counts as an absent BAR.
HostBars parse_resources(std::string_view text);

/// Returns the device's MSI-X layout if a guest sees the capability (see usable_msix), otherwise
/// nothing.
std::optional<MsixLayout> guests_msix(const HostBars& bars, const MsixLayout& msix,
                                      uint64_t page_size);

/// Returns the BARs with their spans, ascending, without guest addresses and counts. `msix`, if
/// given, is a result of `guests_msix`. Assumes that a BAR smaller than a page that begins a page
/// has this page for itself: VFIO checks that, and then maps it.
std::vector<BarInspection> plan_bars(const HostBars& bars, std::optional<MsixLayout> msix,
                                     uint64_t page_size);

/// Returns the same if the place of MSI-X is unknown: a BAR that may have a mapped part has no
/// spans.
std::vector<BarInspection> outline_bars(const HostBars& bars, uint64_t page_size);

}  // namespace passthru::tools
