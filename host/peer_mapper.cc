// SPDX-License-Identifier: MIT
#include "host/peer_mapper.h"

#include <span>

namespace passthru {

Result<void> PeerMapper::map(const GuestMapping& mapping) {
  PASSTHRU_TRY(guest_.map(mapping));
  if (dma_.add(mapping.address, std::span(mapping.memory, mapping.size), true)) {
    reachable_.insert(mapping.address);
  }
  return {};
}

// The IOMMU first: it points at the device's pages, not at our mapping of them, and would go on
// doing so when that is gone.
void PeerMapper::unmap(const GuestMapping& mapping) {
  if (reachable_.erase(mapping.address) != 0) {
    ignore(dma_.remove(mapping.address), "the kernel drops it with the container at the latest");
  }
  guest_.unmap(mapping);
}

}  // namespace passthru
