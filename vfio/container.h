// SPDX-License-Identifier: MIT
// Owns VFIO's older door: a type1v2 container with the groups attached to it. DmaSpace has one for
// a VM; it is open while a group is attached.
#pragma once

#include <cstdint>
#include <map>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "vfio/iommu_space.h"
#include "vfio/kernel.h"

namespace passthru {

/// A container and its groups. Not thread-safe: DmaSpace's lock covers it.
class Container final : public IommuSpace {
 public:
  /// `listener` may be null, and outlives it.
  Container(Kernel& kernel, VfioFileListener* listener) : kernel_(kernel), listener_(listener) {}

  /// A container from outside, taken over and kept until the end. Nothing to do for the one that it
  /// has; EINVAL: it has another. EBADF, EINVAL, ENOTTY, with advice: it is none, and is closed.
  Result<void> adopt(int container);

  /// Attaches a group, or counts one more use of it. `given`: its descriptor, if somebody else
  /// opened it. On error everything is as before. Returns the group's descriptor, owned here.
  Result<int> attach(uint32_t group, Fd given);
  /// Gives one use back; the last one closes the group, and the last group takes all mappings away.
  void detach(uint32_t group);

  [[nodiscard]] bool active() const override { return !groups_.empty(); }
  [[nodiscard]] bool has(uint32_t group) const { return groups_.contains(group); }
  Result<void> map(uint64_t iova, std::span<std::byte> memory, bool writable) override {
    return kernel_.map_dma(fd_.get(), iova, memory, writable);
  }
  Result<void> unmap(uint64_t iova, uint64_t size) override {
    return kernel_.unmap_dma(fd_.get(), iova, size);
  }
  /// Begins or ends the log of what devices may write to. The last group takes it away.
  Result<void> log_dirty(bool on) { return kernel_.log_dirty_pages(fd_.get(), on); }
  /// Of one whole mapping (Kernel::dirty_pages).
  Result<void> dirty_pages(uint64_t iova, uint64_t size, std::span<uint64_t> bitmap) {
    return kernel_.dirty_pages(fd_.get(), iova, size, bitmap);
  }

  /// Resets the slot or bus of `device`, with `functions` in it. EPERM, with the name of the
  /// function: the group of one is not attached here, so it may be in somebody else's hands.
  Result<void> hot_reset(int device, std::span<const HotResetFunction> functions);

 private:
  struct Group {
    Fd fd;
    unsigned uses;
  };
  Result<void> open();
  Result<void> check(const Fd& container);
  Result<Fd> open_group(uint32_t group, Fd given);
  Result<void> attach_new(uint32_t group, Fd given);
  void unset(const Fd& group);
  void close();

  Kernel& kernel_;
  VfioFileListener* const listener_;
  bool given_ = false;  ///< from outside
  Fd fd_;               ///< outlives the groups: members end in reverse order
  std::map<uint32_t, Group> groups_;
};

}  // namespace passthru
