// SPDX-License-Identifier: MIT
// Accesses to the BARs of a device by number and offset, for a VMM that places the BARs itself.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "mmap/address_space.h"
#include "mmap/bar_placer.h"

namespace passthru {

/// The BARs of one device. `read` and `write` are thread-safe, take no lock of this object, and may
/// go on during `add` and `remove`. Not more than one thread calls the others at a time.
class BarAccess {
 public:
  /// From now on accesses reach these BARs.
  void add(const BarTargets& bars);
  /// Removes the BARs. Does not wait for accesses under way.
  void remove();
  /// Waits for accesses that began before `remove`. Must not run inside an access.
  void wait_for_removed() { space_.wait_for_removed(); }

  /// Fills all of `data`. Bytes beyond the BAR, and of a BAR that is not here, are all ones.
  void read(unsigned bar, uint64_t offset, std::span<std::byte> data) const;
  /// Writes `data`. Drops the same bytes.
  void write(unsigned bar, uint64_t offset, std::span<const std::byte> data) const;

 private:
  /// Each BAR has a slot of this size, so that an address tells BAR and offset.
  static constexpr uint64_t kSlot = uint64_t{1} << 60;

  AddressSpace space_{kBars * kSlot, nullptr};
  std::vector<WindowId> windows_;
};

}  // namespace passthru
