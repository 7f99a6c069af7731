// SPDX-License-Identifier: MIT
#include "device/p2p_mapper.h"

#include <span>

namespace passthru {

Result<void> P2pMapper::map(const GuestMapping& mapping) {
  PASSTHRU_TRY(guest_.map(mapping));
  if (dma_.offer(mapping.address, std::span(mapping.memory, mapping.size))) {
    reachable_.insert(mapping.address);
  }
  return {};
}

// The IOMMU first: it points at the device's pages, not at our mapping of them, and would continue
// to when our mapping is gone. Our mapping is removed in any case. Other memory may then be at its
// address, and no other group may reach that.
Result<void> P2pMapper::unmap(const GuestMapping& mapping) {
  if (reachable_.erase(mapping.address) != 0) dma_.forget(mapping.address);
  return guest_.unmap(mapping);
}

}  // namespace passthru
