// SPDX-License-Identifier: MIT
#include "mmap/bar_access.h"

#include <algorithm>
#include <utility>

namespace passthru {

void BarAccess::add(const BarTargets& bars) {
  AddressSpaceChange change;
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (!bars[bar]) continue;
    change.add.push_back({bar * kSlot, std::min(bars[bar]->size(), kSlot), bars[bar], {}});
  }
  auto added = space_.commit(std::move(change));
  if (added) windows_ = *std::move(added);  // cannot fail: the windows are in their slots
}

void BarAccess::remove() {
  if (windows_.empty()) return;
  ignore(space_.commit({.remove = std::exchange(windows_, {})}), "removing windows never fails");
}

void BarAccess::read(unsigned bar, uint64_t offset, std::span<std::byte> data) const {
  size_t inside = 0;
  if (bar < kBars && offset < kSlot) {
    inside = std::min<uint64_t>(data.size(), kSlot - offset);
    space_.read(bar * kSlot + offset, data.first(inside));
  }
  std::fill(data.begin() + static_cast<ptrdiff_t>(inside), data.end(), std::byte{0xff});
}

void BarAccess::write(unsigned bar, uint64_t offset, std::span<const std::byte> data) const {
  if (bar >= kBars || offset >= kSlot) return;
  space_.write(bar * kSlot + offset, data.first(std::min<uint64_t>(data.size(), kSlot - offset)));
}

}  // namespace passthru
