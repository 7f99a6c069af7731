// SPDX-License-Identifier: MIT
// The two windows of the guest's PCI bus for memory BARs, below and above 4 GiB: how large they
// must be, and which BARs do not fit. Pure.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "vfio/kernel.h"
#include "vmm/memory_map.h"
#include "vmm/ram_layout.h"

namespace passthru {

/// Guest addresses from `begin` to before `end`.
struct AddressWindow {
  uint64_t begin = 0;
  uint64_t end = 0;
  [[nodiscard]] constexpr uint64_t size() const { return end - begin; }
  bool operator==(const AddressWindow&) const = default;
};

/// The windows as the host bridge announces them. The default is dsdt.asl's.
struct BarWindows {
  AddressWindow low{.begin = kWindow32, .end = kEcam};
  AddressWindow high{.begin = kWindow64, .end = 2 * kWindow64};
  bool operator==(const BarWindows&) const = default;
};

/// A memory BAR or an expansion ROM that the guest will place.
struct GuestBar {
  Bdf device{};        ///< on the host
  unsigned index = 0;  ///< 0 to 5; 6: the expansion ROM
  uint64_t size = 0;   ///< a power of two
  bool is_64bit = false;
  bool operator==(const GuestBar&) const = default;
};

/// The addresses that the windows can have.
struct AddressLimits {
  RamLayout ram{};
  unsigned physical_bits = 39;  ///< of the guest's CPUs
  /// The addresses that devices reach by DMA, ascending. Empty: all addresses.
  std::vector<IovaRange> reachable{};
};

/// Returns the BARs that get no address. They are placed as Linux places them: the largest first,
/// each at the lowest address that is aligned to its size, 64-bit BARs above 4 GiB if they fit
/// there.
std::vector<GuestBar> bars_without_place(std::vector<GuestBar> bars, const BarWindows& windows);

/// Returns windows for `bars`. They have the default places if the BARs fit there, and grow
/// otherwise: the high window up to the limits, the low window down to the end of low RAM. A ROM
/// that does not fit is no error.
///
/// Errors:
/// - ENOSPC: BARs do not fit. The cause names them, their sum and the window.
Result<BarWindows> choose_windows(const std::vector<GuestBar>& bars, const AddressLimits& limits);

}  // namespace passthru
