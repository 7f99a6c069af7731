// SPDX-License-Identifier: MIT
// The parts of BARs that the devices of the same guest can reach by DMA: parts that the guest has
// mapped. Domain puts it between its address space and the VMM.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <optional>
#include <set>
#include <thread>
#include <utility>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "mmap/guest_mapper.h"
#include "vfio/dma_space.h"

namespace passthru {

/// Whether devices reach the BARs of the guest by DMA. The IOMMU needs 0.1 us and more for each
/// page of a BAR.
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
/// The kernel needs seconds for a large BAR. So the vCPU that moves a BAR only records the parts
/// that the guest has. A thread of this object changes the IOMMU to what is recorded, without a
/// lock that a vCPU waits for. It removes old parts before it maps new parts. Moves that it has not
/// made yet are replaced by later moves, so a guest cannot make the record grow.
///
/// If the IOMMU cannot map a BAR (it refuses reserved addresses, and some kernels refuse device
/// memory), the guest has the BAR all the same. A device that accesses it then gets a fault.
/// Trapped spans are for CPUs.
///
/// Thread-safe. The thread calls the kernel and DmaSpace, and nothing of the VMM.
class P2pMapper final : public GuestMapper {
 public:
  static constexpr uint64_t kMaxAuto = uint64_t{4} << 30;
  static constexpr uint64_t kMaxAlone = uint64_t{1} << 20;
  static constexpr std::chrono::milliseconds kMaxWait{10};

  /// `guest` and `dma` must outlive this object. `refused` is called once, after the IOMMU has
  /// first refused a BAR that several devices, or `P2p::On`, ask for. `tell_refusal` calls it.
  P2pMapper(GuestMapper& guest, DmaSpace& dma, std::function<void(const Error&)> refused)
      : guest_(guest), dma_(dma), refused_(std::move(refused)) {}
  /// Removes all parts, and ends the thread.
  ~P2pMapper() override;
  P2pMapper(const P2pMapper&) = delete;
  P2pMapper& operator=(const P2pMapper&) = delete;

  /// Chooses before the first device is opened. The default is Auto.
  ///
  /// Errors:
  /// - EBUSY: a device is or was open.
  Result<void> use(P2p choice) PASSTHRU_EXCLUDES(p2p_mutex_);
  /// Count the devices of the VM. The first device starts the thread, except with `P2p::Off`. With
  /// the second device, BARs that the first device alone did not need are mapped too. They stay
  /// mapped when devices leave.
  void add_device() PASSTHRU_EXCLUDES(p2p_mutex_);
  void remove_device() PASSTHRU_EXCLUDES(p2p_mutex_);

  /// Maps into the guest, and shows the part to devices. Never waits for the thread.
  Result<void> map(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(p2p_mutex_);
  /// Hides the part from devices, and unmaps it from the guest. Never waits for the thread.
  Result<void> unmap(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(p2p_mutex_);
  Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override {
    return guest_.trap(space, address, size);
  }
  void untrap(GuestSpace space, uint64_t address, uint64_t size) override {
    guest_.untrap(space, address, size);
  }

  /// Record a part that the guest has, or has no longer. `part` is page aligned. Parts may overlap:
  /// a later part is mapped when the earlier part is removed.
  void show(const GuestMapping& part) PASSTHRU_EXCLUDES(p2p_mutex_);
  void hide(const GuestMapping& part) PASSTHRU_EXCLUDES(p2p_mutex_);

  /// Waits until no device reaches a part that was hidden before the call. The part's memory may
  /// then be freed, its device reset, and other memory mapped at its address. Waits for at most the
  /// mapping under way and the removals. Hold no lock that a vCPU waits for.
  void wait_for_unmapped() override PASSTHRU_EXCLUDES(p2p_mutex_);
  /// Waits until all parts that were shown before the call are mapped or refused, kMaxWait at most.
  /// Returns whether they are. Hold no lock that a vCPU waits for.
  bool wait_for_mapped() PASSTHRU_EXCLUDES(p2p_mutex_);
  /// Reports a refusal that is not reported yet. It is called with no lock held.
  void tell_refusal() PASSTHRU_EXCLUDES(p2p_mutex_);

 private:
  using Parts = std::set<GuestMapping>;
  /// What the thread does next: remove parts, or map a part.
  struct Step {
    uint64_t change = 0;  ///< the last change that it includes
    std::vector<GuestMapping> stale{};
    std::optional<GuestMapping> fresh{};
  };

  void start_thread() PASSTHRU_REQUIRES(p2p_mutex_);
  void note_refusal(Error error) PASSTHRU_REQUIRES(p2p_mutex_);
  [[nodiscard]] bool is_useful(uint64_t size) const PASSTHRU_REQUIRES(p2p_mutex_);
  [[nodiscard]] std::vector<GuestMapping> stale() const PASSTHRU_REQUIRES(p2p_mutex_);
  [[nodiscard]] std::optional<GuestMapping> fresh() const PASSTHRU_REQUIRES(p2p_mutex_);
  // On the thread.
  void work() PASSTHRU_EXCLUDES(p2p_mutex_);
  /// Waits for work. Returns nothing at the end.
  std::optional<Step> next_step() PASSTHRU_EXCLUDES(p2p_mutex_);
  void unmap_stale(const Step& step) PASSTHRU_EXCLUDES(p2p_mutex_);
  void map_fresh(const GuestMapping& part) PASSTHRU_EXCLUDES(p2p_mutex_);

  GuestMapper& guest_;
  DmaSpace& dma_;
  const std::function<void(const Error&)> refused_;
  Mutex p2p_mutex_;  ///< taken after the address space's lock; never held during a call
  std::condition_variable_any changed_;  ///< the record, or what the thread has done
  P2p choice_ PASSTHRU_GUARDED_BY(p2p_mutex_) = P2p::Auto;
  bool had_device_ PASSTHRU_GUARDED_BY(p2p_mutex_) = false;
  unsigned devices_ PASSTHRU_GUARDED_BY(p2p_mutex_) = 0;
  Parts shown_ PASSTHRU_GUARDED_BY(p2p_mutex_);          ///< the guest has them
  Parts mapped_ PASSTHRU_GUARDED_BY(p2p_mutex_);         ///< in DmaSpace, or the thread maps it now
  Parts refused_parts_ PASSTHRU_GUARDED_BY(p2p_mutex_);  ///< shown; not tried again
  uint64_t changes_ PASSTHRU_GUARDED_BY(p2p_mutex_) = 0;  ///< of the record
  /// The changes whose removals, and all of whose effects, the thread has made.
  uint64_t unmapped_ PASSTHRU_GUARDED_BY(p2p_mutex_) = 0;
  uint64_t done_ PASSTHRU_GUARDED_BY(p2p_mutex_) = 0;
  bool noted_ PASSTHRU_GUARDED_BY(p2p_mutex_) = false;  ///< a refusal
  std::optional<Error> untold_ PASSTHRU_GUARDED_BY(p2p_mutex_);
  bool ending_ PASSTHRU_GUARDED_BY(p2p_mutex_) = false;
  std::thread thread_ PASSTHRU_GUARDED_BY(p2p_mutex_);
};

}  // namespace passthru
