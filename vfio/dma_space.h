// SPDX-License-Identifier: MIT
// Owns the guest's memory as assigned devices reach it by DMA: which memory is where, and that each
// address space of the IOMMU that has a device of the VM in it, container or IOAS, has all of it.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "vfio/container.h"
#include "vfio/ioas.h"
#include "vfio/kernel.h"

namespace passthru {

/// What of the guest's memory the IOMMU has, in one of its address spaces.
struct DmaMaps {
  Backend backend = Backend::Group;
  size_t maps = 0;
  uint64_t bytes = 0;
};

/// The DMA address space of one VM. Thread-safe. Outlives the devices opened in it.
class DmaSpace {
 public:
  /// `listener` may be null, and outlives it. It is called with the space locked.
  explicit DmaSpace(Kernel& kernel, VfioFileListener* listener = nullptr)
      : kernel_(kernel), container_(kernel, listener), ioas_(kernel, listener) {}
  DmaSpace(const DmaSpace&) = delete;
  DmaSpace& operator=(const DmaSpace&) = delete;

  /// Maps `memory` at `iova`; remembered until a device is attached if none is.
  /// EINVAL: not page aligned, empty, wraps, or overlaps. ENOMEM: the locked-memory limit, with the
  /// bytes needed. On error nothing is mapped or remembered.
  Result<void> add(uint64_t iova, std::span<std::byte> memory, bool writable);
  /// The same for memory that devices can do without: one address space may refuse what another
  /// takes, and where the kernel refuses it when a device is attached later, the device is attached
  /// all the same.
  Result<void> offer(uint64_t iova, std::span<std::byte> memory);
  /// ENOENT: nothing was added at `iova`. Where the kernel refuses, the memory stays added: devices
  /// may still reach it.
  Result<void> remove(uint64_t iova);
  /// The same for memory that goes whatever the kernel says: where it refuses, devices may reach
  /// what was there until the last device is detached, but it is never mapped again.
  void forget(uint64_t iova);

  /// A container, or an iommufd, that somebody else has opened: taken over, and kept until the end.
  /// EINVAL: the VM has another one already. EBADF, EINVAL, ENOTTY, with advice: the descriptor is
  /// none of that kind; it is closed, and the next one may be taken.
  Result<void> use_container(int container);
  Result<void> use_iommufd(int iommufd);

  /// Attaches a group and maps all memory if it is the first one; a failure at the k-th region
  /// undoes the ones before and leaves the group detached. Attaching a group twice is counted, not
  /// an error. `given`: the group's descriptor, if somebody else opened it. EPERM, with advice,
  /// where the IOMMU has no interrupt remapping, or where type1 was told not to insist on it: then
  /// nobody knows, and only `allow_unsafe_interrupts` lets the group be attached. Returns the
  /// group's descriptor, owned by this DmaSpace.
  Result<int> attach_group(uint32_t group, bool allow_unsafe_interrupts = false, Fd given = Fd());
  /// Gives one attachment back; the last one closes the group.
  void detach_group(uint32_t group);
  /// Whether the group is attached here. Its devices cannot be opened by their own nodes then.
  [[nodiscard]] bool has_group(uint32_t group) const;

  /// The same for a device's own descriptor, which it binds to the VM's iommufd. Gives it back; on
  /// error it is closed.
  Result<Fd> attach_cdev(Fd device, bool allow_unsafe_interrupts = false);
  /// Detaches and closes it.
  void detach_cdev(Fd device);

  /// From now on it is logged which memory devices may write to, for who copies the guest's memory
  /// while it runs; devices that are attached later are included. EOPNOTSUPP, with advice: a device
  /// is attached by its own node; nothing is logged then. While it is on, none can be attached so.
  Result<void> start_dirty_log() PASSTHRU_EXCLUDES(space_mutex_);
  void stop_dirty_log() PASSTHRU_EXCLUDES(space_mutex_);
  /// Of the memory at `iova`, a bit for each page (4 KiB on x86), the lowest first: whether a
  /// device may have written to it since the log began, or since this was asked last. An IOMMU that
  /// cannot tell has it that all was, each time; type1 knows of no other (Linux 6.12). ENOENT: no
  /// memory was added there; EINVAL: there is no log.
  Result<std::vector<uint64_t>> dirty_pages(uint64_t iova) PASSTHRU_EXCLUDES(space_mutex_);

  /// Resets the slot or bus of `device`, with `functions` in it (Kernel::hot_reset_info). EPERM,
  /// with the name of the function: one of them is not this VM's, so it may be in somebody else's
  /// hands.
  Result<void> hot_reset(int device, Backend backend, std::span<const HotResetFunction> functions)
      PASSTHRU_EXCLUDES(space_mutex_);

  /// One entry for each address space that has a device in it.
  [[nodiscard]] std::vector<DmaMaps> maps() const PASSTHRU_EXCLUDES(space_mutex_);

 private:
  struct Memory {
    std::span<std::byte> bytes;
    bool writable;
    bool needed;                     ///< no device is attached without it
    std::array<bool, 2> in_iommu{};  ///< by Backend
  };
  using Memories = std::map<uint64_t, Memory>;
  Result<void> add_memory(uint64_t iova, const Memory& memory);
  Result<void> require_interrupt_remapping(Backend backend, const std::string& whom) const;
  IommuSpace& space(Backend backend) PASSTHRU_REQUIRES(space_mutex_);
  Result<void> map(Backend backend, Memories::value_type& memory) PASSTHRU_REQUIRES(space_mutex_);
  Result<void> map_all(Backend backend) PASSTHRU_REQUIRES(space_mutex_);
  void forget_maps(Backend backend) PASSTHRU_REQUIRES(space_mutex_);
  Result<void> unmap(Memories::value_type& memory) PASSTHRU_REQUIRES(space_mutex_);
  void drop(const Memories::value_type& memory) PASSTHRU_REQUIRES(space_mutex_);

  Kernel& kernel_;
  mutable Mutex space_mutex_;  ///< protects the space: what is in it, and who is attached to it
  Container container_ PASSTHRU_GUARDED_BY(space_mutex_);
  Ioas ioas_ PASSTHRU_GUARDED_BY(space_mutex_);
  Memories memory_ PASSTHRU_GUARDED_BY(space_mutex_);  ///< by IOVA
  bool dirty_log_ PASSTHRU_GUARDED_BY(space_mutex_) = false;
};

}  // namespace passthru
