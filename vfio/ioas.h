// SPDX-License-Identifier: MIT
// Owns VFIO's newer door: an iommufd with one IOAS, to which devices are attached by their own
// nodes (since Linux 6.6). DmaSpace has one for a VM; the IOAS is there while a device is attached,
// and from when an iommufd is given until its first one.
#pragma once

#include <cstdint>
#include <span>

#include "base/fd.h"
#include "base/result.h"
#include "vfio/iommu_space.h"
#include "vfio/kernel.h"

namespace passthru {

/// An iommufd and its IOAS. Not thread-safe: DmaSpace's lock covers it.
class Ioas final : public IommuSpace {
 public:
  /// `listener` may be null, and outlives it.
  Ioas(Kernel& kernel, VfioFileListener* listener) : kernel_(kernel), listener_(listener) {}

  /// An iommufd from outside, taken over and kept until the end. Nothing to do for the one that it
  /// has; EINVAL: it has another. EBADF, EINVAL, ENOTTY, with advice: it is none, and is closed.
  Result<void> adopt(int iommufd);

  /// Binds a device's own descriptor to the iommufd and attaches it to the IOAS. On error the IOAS
  /// is as before; the descriptor may stay bound, and is of no use but to be closed.
  Result<void> attach(int device);
  /// Detaches and closes it. The last one takes all mappings away.
  void detach(Fd device);

  [[nodiscard]] bool active() const override { return devices_ != 0; }
  Result<void> map(uint64_t iova, std::span<std::byte> memory, bool writable) override {
    return kernel_.map_ioas(iommufd_.get(), ioas_, iova, memory, writable);
  }
  Result<void> unmap(uint64_t iova, uint64_t size) override {
    return kernel_.unmap_ioas(iommufd_.get(), {.ioas = ioas_, .iova = iova, .size = size});
  }

  /// Resets the slot or bus of `device`, with `functions` in it. EPERM, with the name of the
  /// function: one is not in this iommufd's hands.
  Result<void> hot_reset(int device, std::span<const HotResetFunction> functions);

 private:
  Result<void> attach_here(int device);
  void close();

  Kernel& kernel_;
  VfioFileListener* const listener_;
  bool given_ = false;  ///< from outside
  Fd iommufd_;
  bool allocated_ = false;
  uint32_t ioas_ = 0;
  unsigned devices_ = 0;
};

}  // namespace passthru
