// SPDX-License-Identifier: MIT
// The parts of BARs that the devices of the same guest can reach by DMA: everything that the guest
// has mapped. Domain puts it between its address space and the VMM.
#pragma once

#include <cstdint>
#include <set>

#include "mmap/guest_mapper.h"
#include "vfio/dma_space.h"

namespace passthru {

/// Maps BARs for the DMA of devices. Some devices address BARs: a GPU its neighbour's memory, the
/// 53c895a its own RAM, which holds its program. Both use the addresses that the guest gave them,
/// so the IOMMU must know these.
///
/// If the IOMMU cannot map a BAR (it refuses reserved addresses, and some kernels refuse device
/// memory), the guest has the BAR all the same. A device that accesses it then gets a fault.
/// Trapped spans are for CPUs.
class P2pMapper final : public GuestMapper {
 public:
  /// Both must outlive this object.
  P2pMapper(GuestMapper& guest, DmaSpace& dma) : guest_(guest), dma_(dma) {}

  Result<void> map(const GuestMapping& mapping) override;
  Result<void> unmap(const GuestMapping& mapping) override;
  Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override {
    return guest_.trap(space, address, size);
  }
  void untrap(GuestSpace space, uint64_t address, uint64_t size) override {
    guest_.untrap(space, address, size);
  }

 private:
  GuestMapper& guest_;
  DmaSpace& dma_;
  std::set<uint64_t> reachable_;  ///< by DMA; the caller's lock protects it
};

}  // namespace passthru
