// SPDX-License-Identifier: MIT
// Owns the contract between a VM's memory and an address space of the host's IOMMU: a type1
// container or an IOAS. DmaSpace keeps what is mapped; the spaces only carry it out.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace passthru {

/// One address space of the IOMMU. Not thread-safe: DmaSpace's lock covers it.
class IommuSpace {
 public:
  virtual ~IommuSpace() = default;
  /// Whether a device is attached: only then can anything be mapped.
  [[nodiscard]] virtual bool active() const = 0;
  virtual Result<void> map(uint64_t iova, std::span<std::byte> memory, bool writable) = 0;
  /// ENOENT: there was no such mapping.
  virtual Result<void> unmap(uint64_t iova, uint64_t size) = 0;
};

/// Who has to know the files by which devices are assigned. KVM does: it learns from them whether
/// DMA is coherent with the guest's caches, and some drivers ask it for their VM.
class VfioFileListener {
 public:
  virtual ~VfioFileListener() = default;
  /// A group's file, attached to its container, or a device's own, before it is bound to its
  /// iommufd. On error the device is not assigned.
  virtual Result<void> file_added(int fd) = 0;
  /// Before it is closed.
  virtual void file_removed(int fd) = 0;
};

}  // namespace passthru
