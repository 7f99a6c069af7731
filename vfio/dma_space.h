// SPDX-License-Identifier: MIT
// The guest's memory as assigned devices reach it by DMA. Each IOMMU address space with a device of
// the VM, container or IOAS, has all of this memory.
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
#include "vfio/attach_facts.h"
#include "vfio/container.h"
#include "vfio/ioas.h"
#include "vfio/kernel.h"

namespace passthru {

/// The part of the guest's memory that is mapped in an address space of the IOMMU.
struct DmaMaps {
  Backend backend = Backend::Group;
  size_t maps = 0;
  uint64_t bytes = 0;
};

/// The DMA address space of a VM. Thread-safe. It must outlive the devices opened in it.
class DmaSpace {
 public:
  /// `listener` may be null. It must outlive this object, and is called with the space locked.
  explicit DmaSpace(Kernel& kernel, VfioFileListener* listener = nullptr)
      : kernel_(kernel), container_(kernel, listener), ioas_(kernel, listener) {}
  DmaSpace(const DmaSpace&) = delete;
  DmaSpace& operator=(const DmaSpace&) = delete;

  /// Maps `memory` at `iova`. Without an attached device, the mapping is made when a device is
  /// attached. An error changes nothing.
  ///
  /// Errors:
  /// - EINVAL: not page aligned, empty, wraps around, or overlaps other memory.
  /// - EINVAL: devices cannot use all of these addresses. The message names those that they cannot.
  /// - ENOMEM: the limit on locked memory. The message says how many bytes are needed.
  Result<void> add(uint64_t iova, std::span<std::byte> memory, bool writable);
  /// Maps memory of a file: `memory` is this process's mapping of `fd` from `offset` on. An iommufd
  /// maps the file itself if its kernel can (Linux 6.13). Otherwise `memory` is mapped. Keeps a
  /// copy of `fd` while the memory is added.
  ///
  /// Errors:
  /// - EBADF: `fd` is not open.
  /// - EINVAL: `offset` is not page aligned, or the end is beyond 2^64.
  /// - the errors of `add`.
  Result<void> add_file(uint64_t iova, int fd, uint64_t offset, std::span<std::byte> memory,
                        bool writable);
  /// Maps memory that devices can do without. An address space may refuse it while the other
  /// accepts it. If the kernel refuses it when a device is attached later, the device is still
  /// attached.
  Result<void> offer(uint64_t iova, std::span<std::byte> memory);
  /// Unmaps the memory that was added at `iova`. If the kernel refuses, the memory stays added,
  /// because devices may still reach it.
  ///
  /// Errors:
  /// - ENOENT: no memory was added at `iova`.
  Result<void> remove(uint64_t iova);
  /// Removes memory even if the kernel refuses. Devices may then reach the old mapping until the
  /// last device is detached, but it is never mapped again.
  void forget(uint64_t iova);

  /// Take over a container or an iommufd that the caller opened, and keep it until the end.
  ///
  /// Errors:
  /// - EINVAL: the VM already has one.
  /// - EBADF, EINVAL, ENOTTY, with advice: the descriptor is of another kind. It is closed; the
  ///   caller may try another.
  Result<void> use_container(Fd container);
  Result<void> use_iommufd(Fd iommufd);
  /// Returns whether this VM has an iommufd open.
  [[nodiscard]] bool has_iommufd() const;

  /// Attaches a group. The first group maps all memory; if a mapping fails, all mappings are undone
  /// and the group is detached. A group that is attached twice is counted. `given` is the group's
  /// descriptor if the caller opened it. Returns the group's descriptor, which this object owns.
  ///
  /// A group that is handed over is in the container already, with mappings of the process before.
  /// A mapping at the address of our memory counts as ours: both processes map the same memory.
  ///
  /// Errors:
  /// - EPERM, with advice: the IOMMU has no interrupt remapping, or firmware reserves memory for a
  ///   device of the group. `facts` tell which.
  /// - EPERM, with advice: type1 has allow_unsafe_interrupts set, so remapping is uncertain. With
  ///   `allow_unsafe_interrupts`, the group is attached anyway.
  /// - EINVAL, with advice: see Container::attach.
  Result<int> attach_group(uint32_t group, bool allow_unsafe_interrupts = false, Fd given = Fd(),
                           Attachment attachment = Attachment::Own,
                           const AttachFactsReader& facts = {});
  /// Detaches a group once. The last detach closes the group.
  void detach_group(uint32_t group, Attachment attachment = Attachment::Own);
  /// Returns whether the group is attached here. Its devices then cannot be opened through their
  /// own nodes.
  [[nodiscard]] bool has_group(uint32_t group) const;

  /// Binds a device's own descriptor to the VM's iommufd, under the same rules as `attach_group`.
  /// Returns the descriptor; an error closes it. A device that is handed over moves to the VM's
  /// IOAS in one step, after all memory is mapped there.
  Result<Fd> attach_cdev(Fd device, bool allow_unsafe_interrupts = false,
                         Attachment attachment = Attachment::Own,
                         const AttachFactsReader& facts = {});
  /// Detaches and closes the device. If another process goes on with it, only closes it.
  void detach_cdev(Fd device, Attachment attachment = Attachment::Own);

  /// Returns the container or the iommufd, or -1.
  [[nodiscard]] int iommu_fd(Backend backend) const PASSTHRU_EXCLUDES(space_mutex_);
  /// Returns the descriptor of an attached group, or -1.
  [[nodiscard]] int group_fd(uint32_t group) const PASSTHRU_EXCLUDES(space_mutex_);

  /// Resets the slot or bus of `device`, with `functions` in it (Kernel::hot_reset_info). Nothing
  /// waits for the reset: the space is not locked meanwhile.
  ///
  /// Errors:
  /// - EPERM: the group of a function, or with iommufd the function, does not belong to this VM, so
  ///   it may have another owner. The message names the function.
  /// - EAGAIN, EBUSY: the host resets or accesses a device there. Nothing was reset.
  /// - EINVAL: VFIO does not have all functions there.
  Result<void> hot_reset(int device, Backend backend, std::span<const HotResetFunction> functions)
      PASSTHRU_EXCLUDES(space_mutex_);

  /// Returns the ranges in which memory can be added, ascending: those that all address spaces with
  /// a device can use. All other addresses are reserved. Empty if no device is attached.
  ///
  /// Errors:
  /// - the errno of the kernel.
  Result<std::vector<IovaRange>> usable_iova_ranges() PASSTHRU_EXCLUDES(space_mutex_);

  /// Returns an entry for each address space that has a device in it. Waits for no call of the
  /// kernel: while a call changes the space, returns the entries from before.
  [[nodiscard]] std::vector<DmaMaps> maps() const PASSTHRU_EXCLUDES(maps_mutex_);

 private:
  struct Memory {
    std::span<std::byte> bytes;
    bool writable;
    bool needed;  ///< otherwise a device is attached even if mapping fails
    Fd file{};    ///< if not empty: `bytes` map it
    uint64_t file_offset = 0;
    std::array<bool, 2> in_iommu{};  ///< by Backend
  };
  using Memories = std::map<uint64_t, Memory>;
  Result<void> add_memory(uint64_t iova, Memory memory);
  Result<void> require_interrupt_remapping(Backend backend, const std::string& whom) const;
  IommuSpace& space(Backend backend) PASSTHRU_REQUIRES(space_mutex_);
  static Result<void> map_in(IommuSpace& space, const Memories::value_type& memory);
  Result<void> map(Backend backend, Memories::value_type& memory) PASSTHRU_REQUIRES(space_mutex_);
  /// Names the addresses that `memory` must not have, if they are the cause.
  Error explain_refusal(Backend backend, const Memories::value_type& memory, Error error)
      PASSTHRU_REQUIRES(space_mutex_);
  Result<void> map_all(Backend backend) PASSTHRU_REQUIRES(space_mutex_);
  Result<void> map_before_attach() PASSTHRU_REQUIRES(space_mutex_);
  [[nodiscard]] bool is_mapped_already(Backend backend, const Memory& memory,
                                       const Error& refused) const PASSTHRU_REQUIRES(space_mutex_);
  void forget_maps(Backend backend) PASSTHRU_REQUIRES(space_mutex_);
  /// Makes `maps` return the entries of now.
  void count_maps() PASSTHRU_REQUIRES(space_mutex_);
  Result<void> unmap(Memories::value_type& memory) PASSTHRU_REQUIRES(space_mutex_);
  void drop(const Memories::value_type& memory) PASSTHRU_REQUIRES(space_mutex_);

  Kernel& kernel_;
  /// Protects the memory and the attached devices. It is held while the kernel pins memory, which
  /// takes seconds, so no thread may wait for it with a lock that a vCPU waits for.
  mutable Mutex space_mutex_;
  Container container_ PASSTHRU_GUARDED_BY(space_mutex_);
  Ioas ioas_ PASSTHRU_GUARDED_BY(space_mutex_);
  Memories memory_ PASSTHRU_GUARDED_BY(space_mutex_);  ///< by IOVA
  mutable Mutex maps_mutex_;                           ///< taken last
  std::vector<DmaMaps> maps_ PASSTHRU_GUARDED_BY(maps_mutex_);
};

}  // namespace passthru
