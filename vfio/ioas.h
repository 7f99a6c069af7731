// SPDX-License-Identifier: MIT
// An iommufd with one IOAS, to which devices are attached by their own nodes (since Linux 6.6): the
// newer of VFIO's two interfaces. Each DmaSpace has an IOAS. It exists while a device is attached,
// and from `adopt` until the first device.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "vfio/attach_facts.h"
#include "vfio/iommu_space.h"
#include "vfio/kernel.h"

namespace passthru {

/// An iommufd and its IOAS. Not thread-safe: DmaSpace's lock covers it.
class Ioas final : public IommuSpace {
 public:
  /// `listener` may be null. It must outlive this object.
  Ioas(Kernel& kernel, VfioFileListener* listener) : kernel_(kernel), listener_(listener) {}

  /// Takes over an iommufd from the caller and keeps it until the end.
  ///
  /// Errors:
  /// - EINVAL: another iommufd is in use.
  /// - EBADF, EINVAL, ENOTTY, with advice: the descriptor is not an iommufd. It is closed.
  Result<void> adopt(Fd iommufd);

  /// Opens the iommufd and allocates the IOAS, unless that is done. Memory can then be mapped.
  ///
  /// Errors:
  /// - EINVAL: a device is handed over, and the iommufd is not.
  /// - Errors of the kernel, with advice.
  Result<void> prepare(Attachment attachment);
  /// Destroys the IOAS if no device is attached.
  void close();
  /// Binds a device's own descriptor to the iommufd and attaches it to the IOAS. A device that is
  /// handed over is bound already: it moves to this IOAS in one step. An error leaves the IOAS as
  /// before. The descriptor may stay bound; the caller can only close it. `facts` explain a
  /// refusal. Errors: those of `prepare` and of the kernel.
  Result<void> attach(int device, Attachment attachment = Attachment::Own,
                      const AttachFactsReader& facts = {});
  /// Detaches and closes the device. Detaching the last device ends all mappings. A device that
  /// another process goes on with is only closed. If it is still attached to this IOAS, the IOAS
  /// stays with the iommufd.
  void detach(Fd device, Attachment attachment = Attachment::Own);

  [[nodiscard]] bool active() const override { return devices_ != 0; }
  [[nodiscard]] bool opened() const { return static_cast<bool>(iommufd_); }
  /// Returns the iommufd, or -1.
  [[nodiscard]] int fd() const { return iommufd_.get(); }
  Result<void> map(uint64_t iova, std::span<std::byte> memory, bool writable) override {
    return kernel_.map_ioas(iommufd_.get(), ioas_, iova, memory, writable);
  }
  Result<void> map_file(uint64_t iova, const FileRange& file, bool writable) override {
    return kernel_.map_ioas_file(iommufd_.get(), ioas_, iova, file, writable);
  }
  Result<void> unmap(uint64_t iova, uint64_t size) override {
    return kernel_.unmap_ioas(iommufd_.get(), {.ioas = ioas_, .iova = iova, .size = size});
  }
  Result<std::vector<IovaRange>> iova_ranges() override {
    return kernel_.ioas_iova_ranges(iommufd_.get(), ioas_);
  }

 private:
  Result<void> attach_here(int device, Attachment attachment, const AttachFactsReader& facts);

  Kernel& kernel_;
  VfioFileListener* const listener_;
  bool given_ = false;  ///< the caller opened it
  Fd iommufd_;
  bool allocated_ = false;
  uint32_t ioas_ = 0;
  unsigned devices_ = 0;
};

}  // namespace passthru
