// SPDX-License-Identifier: MIT
// An opened VFIO device: its descriptor, its regions and interrupts, and every access to them. It
// knows nothing of a guest.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "pci/bdf.h"
#include "pci/identity.h"
#include "vfio/device_source.h"
#include "vfio/dma_space.h"
#include "vfio/kernel.h"
#include "vfio/vf_token.h"

namespace passthru {

class VfioDevice;

/// A part of a region, mapped into this process. Its end unmaps the part. Keeps the device open.
class MappedRegion {
 public:
  MappedRegion() = default;
  MappedRegion(std::shared_ptr<VfioDevice> device, Mapped mapped);
  MappedRegion(MappedRegion&& other) noexcept;
  MappedRegion& operator=(MappedRegion&& other) noexcept;
  ~MappedRegion();

  [[nodiscard]] std::byte* data() const { return mapped_.address; }
  [[nodiscard]] size_t size() const { return mapped_.size; }

 private:
  std::shared_ptr<VfioDevice> device_;
  Mapped mapped_;
};

/// An opened device. Thread-safe. The facts about the device do not change after `open`.
class VfioDevice : public std::enable_shared_from_this<VfioDevice> {
 public:
  static constexpr unsigned kRegions = 9;
  static constexpr unsigned kIrqs = 5;

  /// Opens the device that `door` describes, attaches it to `dma` and reads its infos. Errors name
  /// the device. `allow_unsafe_interrupts`: see DmaSpace::attach_group. `check_identity` and the
  /// messages about VF tokens need `sysfs`.
  ///
  /// Errors:
  /// - EACCES: the VF token is missing or wrong.
  /// - Errors of the kernel and of DmaSpace.
  static Result<std::shared_ptr<VfioDevice>> open(Kernel& kernel, DmaSpace& dma, DeviceHandle door,
                                                  bool allow_unsafe_interrupts = false,
                                                  const Sysfs* sysfs = nullptr);
  ~VfioDevice();

  [[nodiscard]] Bdf bdf() const { return bdf_; }
  [[nodiscard]] Backend backend() const { return backend_; }
  /// Returns the device's descriptor, which stays this object's.
  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] bool resettable() const { return info_.resettable; }
  /// Returns the descriptors. They are valid as long as this object.
  [[nodiscard]] DeviceDescriptors descriptors() const;
  /// Sets what the end of this object does. Own: it detaches the device. HandedOver: it only closes
  /// the descriptor, and the device goes on if another process has it open. The default is the
  /// attachment of its handle.
  void set_attachment(Attachment attachment) { attachment_ = attachment; }
  /// Returns size 0 for a region that the device does not have.
  [[nodiscard]] const RegionInfo& region(Region region) const;
  /// Returns count 0 for an interrupt that the device does not have. The count of MSI-X and of MSI
  /// is at most `DeviceHandle::max_vectors`, and that of MSI a power of two.
  [[nodiscard]] const IrqInfo& irq(Irq irq) const;

  /// Read and write a region. `offset` is relative to the region; the bounds check cannot wrap.
  ///
  /// Errors:
  /// - EINVAL: beyond the end of the region.
  /// - EIO: memory decode is off.
  Result<void> read(Region region, uint64_t offset, std::span<std::byte> data);
  Result<void> write(Region region, uint64_t offset, std::span<const std::byte> data)
      PASSTHRU_EXCLUDES(command_mutex_);
  /// Turns on decode of memory and I/O, unless memory decode is on. The kernel then restores BARs
  /// that the device has lost. Also turns bus mastering on again if the last write to COMMAND
  /// turned it on. Does not undo a write to COMMAND by another thread.
  Result<void> turn_decode_on() PASSTHRU_EXCLUDES(command_mutex_);
  /// Reads whether the device is a bus master now, as if this process had written COMMAND. Call it
  /// for a device that goes on from another process. Does nothing if the device does not answer.
  void adopt_bus_mastering() PASSTHRU_EXCLUDES(command_mutex_);
  /// Maps a page-aligned part of a region, readable, and writable if the region is. The part may
  /// reach to the end of the last page of the region.
  Result<MappedRegion> map(Region region, uint64_t offset, uint64_t size);

  /// Checks that the address still belongs to this device (DeviceIdentity::check). Call it before
  /// interrupts of the host are enabled. Checks nothing if the device was opened without sysfs.
  [[nodiscard]] Result<void> check_identity() const;
  /// Binds `eventfds` to the vectors from `start` on, in one call and in ascending order; -1 frees
  /// a handler.
  Result<void> bind_irqs(Irq irq, uint32_t start, std::span<const int> eventfds);
  Result<void> disable_irqs(Irq irq);
  Result<void> act_on_irqs(Irq irq, IrqAction action, uint32_t start, uint32_t count);
  /// -1 unbinds it.
  Result<void> bind_unmask_eventfd(Irq irq, int eventfd);
  /// Resets the device.
  ///
  /// Errors:
  /// - EINVAL, ENOTTY: the device has no reset.
  /// - EAGAIN: the host holds the device's lock. Nothing was reset.
  Result<void> reset();
  /// Returns all functions that a reset of the slot or bus resets, itself included.
  ///
  /// Errors:
  /// - ENODEV: neither slot nor bus can be reset.
  Result<std::vector<HotResetFunction>> hot_reset_set();
  /// Resets all of them.
  ///
  /// Errors: those of DmaSpace::hot_reset.
  Result<void> hot_reset();

  Kernel& kernel() { return kernel_; }
  [[nodiscard]] uint64_t page_size() const { return kernel_.page_size(); }

 private:
  VfioDevice(Kernel& kernel, DmaSpace& dma, const DeviceHandle& door);
  Result<void> open_fd(DeviceHandle door, bool allow_unsafe_interrupts, const Sysfs* sysfs);
  Result<void> open_by_group(DeviceHandle door, bool allow_unsafe_interrupts, const Sysfs* sysfs);
  Result<void> open_by_node(DeviceHandle door, bool allow_unsafe_interrupts, const Sysfs* sysfs);
  Result<void> read_infos();
  void limit_vectors();
  Result<void> check(Irq irq, uint32_t start, uint64_t count) const;
  Result<void> put(Region region, uint64_t offset, std::span<const std::byte> data);
  friend class MappedRegion;

  Kernel& kernel_;
  DmaSpace& dma_;
  const uint32_t group_;
  const Bdf bdf_;
  const Backend backend_;
  const bool use_rom_;
  const uint32_t max_vectors_;  ///< 0: no limit
  std::atomic<Attachment> attachment_;
  bool attached_ = false;
  Fd fd_;
  std::optional<DeviceIdentity> identity_;
  DeviceInfo info_;
  std::array<RegionInfo, kRegions> regions_;
  std::array<IrqInfo, kIrqs> irqs_;
  Mutex command_mutex_;                                          ///< held while COMMAND is written
  bool bus_master_ PASSTHRU_GUARDED_BY(command_mutex_) = false;  ///< as last written or adopted
};

}  // namespace passthru
