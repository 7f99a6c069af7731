// SPDX-License-Identifier: MIT
// The host's memory behind guest RAM, and its mapping into this process. GuestMemory uses it, and
// knows the addresses in the guest.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace passthru {

/// Where the bytes of guest RAM come from.
struct MemoryBacking {
  enum class Kind {
    Anonymous,  ///< private memory; transparent huge pages if the kernel has them
    Memfd,      ///< a file of memory (memfd_create(2)), mapped shared
    Hugetlbfs,  ///< the same, in huge pages that the host has reserved
  };
  static constexpr uint64_t kUsualHugePage = uint64_t{2} << 20;
  static constexpr uint64_t kMaxHugePage = uint64_t{1} << 30;

  Kind kind = Kind::Anonymous;
  uint64_t huge_page_size = 0;  ///< bytes, for Hugetlbfs only; 0: 2 MiB

  [[nodiscard]] uint64_t huge_page() const {
    return huge_page_size == 0 ? kUsualHugePage : huge_page_size;
  }
  bool operator==(const MemoryBacking&) const = default;
};

/// Owns a mapping of memory in this process.
class MappedMemory {
 public:
  /// Maps zeroed memory. It begins at a multiple of 2 MiB, or of the huge page if that is larger,
  /// so that KVM and the IOMMU can use large pages. `bytes` is a multiple of the huge page.
  /// Errors:
  /// - ENOMEM: the host has not enough memory, or not enough huge pages.
  /// - ENODEV: the host has no huge pages of this size.
  /// - ENOSYS: the kernel has no huge pages.
  static Result<MappedMemory> map(uint64_t bytes, const MemoryBacking& backing);
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&&) = delete;
  ~MappedMemory();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  MappedMemory(void* reserved, size_t reserved_size, std::span<std::byte> bytes)
      : reserved_(reserved), reserved_size_(reserved_size), bytes_(bytes) {}

  void* reserved_;  ///< address space; null: moved from
  size_t reserved_size_;
  std::span<std::byte> bytes_;  ///< within it
};

}  // namespace passthru
