// SPDX-License-Identifier: MIT
// Owns the guest's memory as assigned devices reach it by DMA: one type1v2 container for a VM, the
// groups attached to it, and one DMA mapping for each region of guest RAM.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>

#include "vfio/fd.h"
#include "vfio/kernel.h"
#include "vfio/result.h"
#include "vfio/thread_annotations.h"

namespace passthru {

/// The DMA address space of one VM. Thread-safe. Outlives the devices opened in it.
class DmaSpace {
 public:
  explicit DmaSpace(Kernel& kernel) : kernel_(kernel) {}
  DmaSpace(const DmaSpace&) = delete;
  DmaSpace& operator=(const DmaSpace&) = delete;

  /// Maps `memory` at `iova`; remembered until a group is attached if none is.
  /// EINVAL: not page aligned, empty, wraps, or overlaps. ENOMEM: the locked-memory limit, with the
  /// bytes needed. On error nothing is mapped or remembered.
  Result<void> add(uint64_t iova, std::span<std::byte> memory, bool writable);
  /// ENOENT: nothing was added at `iova`. Where the kernel refuses, the memory stays added: devices
  /// may still reach it.
  Result<void> remove(uint64_t iova);
  /// The same for memory that goes whatever the kernel says: where it refuses, devices may reach
  /// what was there until the last group is detached, but it is never mapped again.
  void forget(uint64_t iova);

  /// Attaches a group and maps all memory if it is the first one; a failure at the k-th region
  /// undoes the ones before and leaves the group detached. Attaching a group twice is counted, not
  /// an error. EPERM, with advice, where the IOMMU has no interrupt remapping, or where type1 was
  /// told not to insist on it: then nobody knows, and only `allow_unsafe_interrupts` lets the group
  /// be attached. Returns the group's descriptor, owned by this DmaSpace.
  Result<int> attach_group(uint32_t group, bool allow_unsafe_interrupts = false);
  /// Resets the slot or bus of `device`, with `functions` in it (Kernel::hot_reset_info). EPERM,
  /// with the name of the function: the group of one is not attached here, so it may be in somebody
  /// else's hands.
  Result<void> hot_reset(int device, std::span<const HotResetFunction> functions)
      PASSTHRU_EXCLUDES(space_mutex_);
  /// Gives one attachment back; the last one closes the group.
  void detach_group(uint32_t group);

 private:
  struct Memory {
    std::span<std::byte> bytes;
    bool writable;
  };
  struct Group {
    Fd fd;
    unsigned uses;
  };
  Result<void> require_interrupt_remapping(uint32_t group) const;
  Result<Fd> open_container() const;
  Result<Fd> open_group(uint32_t group) const;
  Result<void> map(int container, uint64_t iova, const Memory& memory) const
      PASSTHRU_REQUIRES(space_mutex_);
  Result<void> map_all(int container) const PASSTHRU_REQUIRES(space_mutex_);

  Kernel& kernel_;
  Mutex space_mutex_;  ///< protects the space: what is in it, and who is attached to it
  /// Open while a group is attached. Outlives the groups: members end in reverse order.
  Fd container_ PASSTHRU_GUARDED_BY(space_mutex_);
  std::map<uint64_t, Memory> memory_ PASSTHRU_GUARDED_BY(space_mutex_);  ///< by IOVA
  std::map<uint32_t, Group> groups_ PASSTHRU_GUARDED_BY(space_mutex_);
};

}  // namespace passthru
