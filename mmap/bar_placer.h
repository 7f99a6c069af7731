// SPDX-License-Identifier: MIT
// The interface through which Bars puts a device's BARs into the guest: at addresses of its address
// spaces, or by the VMM.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/result.h"
#include "mmap/bar.h"
#include "mmap/bar_info.h"

namespace passthru {

/// The BARs of a device by index. Null: the device does not have the BAR.
using BarTargets = std::array<std::shared_ptr<Bar>, kBars>;

/// Puts the BARs of one device into the guest. Not thread-safe: Bars calls it, under the device's
/// lock.
class BarPlacer {
 public:
  virtual ~BarPlacer() = default;
  /// Moves the BARs in one step. On error all BARs stay where they were. A BAR whose address does
  /// not change is not touched. A BAR beyond its space's limit is unreachable. Removing BARs never
  /// fails.
  virtual Result<void> place(const BarTargets& bars, const BarAddresses& placement) = 0;
  /// Waits for accesses under way to BARs that `place` has removed. Must not run inside an access.
  virtual void wait_for_removed() = 0;
};

/// Returns nothing for a BAR that ends beyond `limit`. The address is compared, never truncated.
inline std::optional<uint64_t> reachable(std::optional<uint64_t> address, uint64_t size,
                                         uint64_t limit) {
  if (!address || size > limit || *address > limit - size) return std::nullopt;
  return address;
}

}  // namespace passthru
