// SPDX-License-Identifier: MIT
// The parts of BARs that the devices of the same guest can reach by DMA: parts that the guest has
// mapped. Domain puts it between its address space and the VMM.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <set>
#include <span>

#include "base/mutex.h"
#include "mmap/guest_mapper.h"
#include "vfio/dma_space.h"

namespace passthru {

/// Whether devices reach the BARs of the guest by DMA. The IOMMU needs 0.1 us and more for each
/// page of a BAR, while the guest's write to a BAR or to COMMAND waits.
enum class P2p {
  /// With several devices, parts of BARs up to P2pMapper::kMaxAuto. With one device, parts up to
  /// P2pMapper::kMaxAlone: some devices fetch their program from their own BAR.
  Auto,
  On,   ///< everything that the guest has mapped
  Off,  ///< nothing
};

/// Maps BARs for the DMA of devices. Some devices address BARs: a GPU its neighbour's memory, the
/// 53c895a its own RAM, which holds its program. Both use the addresses that the guest gave them,
/// so the IOMMU must know these.
///
/// If the IOMMU cannot map a BAR (it refuses reserved addresses, and some kernels refuse device
/// memory), the guest has the BAR all the same. A device that accesses it then gets a fault.
/// Trapped spans are for CPUs.
class P2pMapper final : public GuestMapper {
 public:
  static constexpr uint64_t kMaxAuto = uint64_t{4} << 30;
  static constexpr uint64_t kMaxAlone = uint64_t{1} << 20;

  /// `guest` and `dma` must outlive this object. `refused` is called once, when the IOMMU first
  /// refuses a BAR that several devices, or `P2p::On`, ask for. It is called with the address
  /// space's lock held, or the lock of no caller.
  P2pMapper(GuestMapper& guest, DmaSpace& dma, std::function<void(const Error&)> refused)
      : guest_(guest), dma_(dma), refused_(std::move(refused)) {}

  /// Call it before the guest has a BAR. The default is Auto.
  void use(P2p choice) PASSTHRU_EXCLUDES(p2p_mutex_);
  /// Count the devices of the VM. With the second device, BARs that the first device alone did not
  /// need are mapped too. They stay mapped when devices leave.
  void add_device() PASSTHRU_EXCLUDES(p2p_mutex_);
  void remove_device() PASSTHRU_EXCLUDES(p2p_mutex_);

  Result<void> map(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(p2p_mutex_);
  Result<void> unmap(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(p2p_mutex_);
  Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override {
    return guest_.trap(space, address, size);
  }
  void untrap(GuestSpace space, uint64_t address, uint64_t size) override {
    guest_.untrap(space, address, size);
  }

 private:
  [[nodiscard]] bool wanted(uint64_t size) const PASSTHRU_REQUIRES(p2p_mutex_);
  /// Returns an error to report.
  std::optional<Error> offer(uint64_t address, std::span<std::byte> memory)
      PASSTHRU_REQUIRES(p2p_mutex_);

  GuestMapper& guest_;
  DmaSpace& dma_;
  const std::function<void(const Error&)> refused_;
  Mutex p2p_mutex_;  ///< taken after the address space's lock, before DmaSpace's
  P2p choice_ PASSTHRU_GUARDED_BY(p2p_mutex_) = P2p::Auto;
  unsigned devices_ PASSTHRU_GUARDED_BY(p2p_mutex_) = 0;
  bool reported_ PASSTHRU_GUARDED_BY(p2p_mutex_) = false;
  std::set<uint64_t> reachable_ PASSTHRU_GUARDED_BY(p2p_mutex_);  ///< by DMA
  /// Mapped by the guest and not offered, by address.
  std::map<uint64_t, std::span<std::byte>> held_back_ PASSTHRU_GUARDED_BY(p2p_mutex_);
};

}  // namespace passthru
