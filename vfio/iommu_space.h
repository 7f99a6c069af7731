// SPDX-License-Identifier: MIT
// The interface of an IOMMU address space, a type1 container or an IOAS. DmaSpace decides what is
// mapped; the spaces carry it out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/result.h"
#include "vfio/kernel.h"

namespace passthru {

/// How a device or a group is attached to its address space.
enum class Attachment {
  Own,         ///< it is attached here first, and detached at the end
  HandedOver,  ///< another process attached it, or goes on with it: its DMA must not stop
};

/// An address space of the IOMMU. Not thread-safe: DmaSpace's lock covers it.
class IommuSpace {
 public:
  virtual ~IommuSpace() = default;
  /// Returns whether a device is attached. Only then can memory be mapped.
  [[nodiscard]] virtual bool active() const = 0;
  virtual Result<void> map(uint64_t iova, std::span<std::byte> memory, bool writable) = 0;
  /// Maps memory of a file, by its descriptor.
  ///
  /// Errors:
  /// - ENOTTY, EOPNOTSUPP: this address space, or its kernel, cannot do that.
  /// - EINVAL: the kernel cannot do that with this kind of file.
  virtual Result<void> map_file(uint64_t /*iova*/, const FileRange& /*file*/, bool /*writable*/) {
    return fail(EOPNOTSUPP, "map a file for DMA");
  }
  /// Unmaps a whole mapping.
  ///
  /// Errors:
  /// - ENOENT: the mapping does not exist.
  virtual Result<void> unmap(uint64_t iova, uint64_t size) = 0;
  /// Returns the ranges in which memory can be mapped, ascending. Call it only while `active`.
  virtual Result<std::vector<IovaRange>> iova_ranges() = 0;
};

/// Learns the files by which devices are assigned. KVM needs them: they show whether DMA is
/// coherent with the guest's caches, and some drivers ask KVM for their VM.
class VfioFileListener {
 public:
  virtual ~VfioFileListener() = default;
  /// Called with a group's file after it is attached to its container, or with a device's own file
  /// before it is bound to its iommufd. On an error the device is not assigned.
  virtual Result<void> file_added(int fd) = 0;
  /// Called before the file is closed.
  virtual void file_removed(int fd) = 0;
};

}  // namespace passthru
