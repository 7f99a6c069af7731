// SPDX-License-Identifier: MIT
// Owns what guest RAM is made of: which memory of the host, and how it is mapped into this process.
// GuestMemory asks for it; where in the guest it appears is none of its business.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"

namespace passthru {

/// Where the bytes of guest RAM come from.
struct MemoryBacking {
  enum class Kind {
    Anonymous,  ///< private memory; transparent huge pages where the kernel has them
    Memfd,      ///< a file of memory (memfd_create(2)), mapped shared
    Hugetlbfs,  ///< the same, of huge pages that the host has reserved
  };
  static constexpr uint64_t kUsualHugePage = uint64_t{2} << 20;
  static constexpr uint64_t kMaxHugePage = uint64_t{1} << 30;

  Kind kind = Kind::Anonymous;
  uint64_t huge_page_size = 0;  ///< bytes, of Hugetlbfs only; 0: the usual, 2 MiB

  [[nodiscard]] uint64_t huge_page() const {
    return huge_page_size == 0 ? kUsualHugePage : huge_page_size;
  }
  bool operator==(const MemoryBacking&) const = default;
};

/// Memory of this process, unmapped by its owner's end.
class MappedMemory {
 public:
  /// Zeroes. Begins at a multiple of 2 MiB, or of the huge page if that is larger, so that KVM and
  /// the IOMMU can use large pages. `bytes` is a multiple of the huge page. ENOMEM: there is not
  /// that much, or not that many huge pages; ENODEV: the host has no huge pages of this size;
  /// ENOSYS: none at all.
  static Result<MappedMemory> map(uint64_t bytes, const MemoryBacking& backing);
  MappedMemory(MappedMemory&& other) noexcept;
  MappedMemory& operator=(MappedMemory&&) = delete;
  ~MappedMemory();

  [[nodiscard]] std::span<std::byte> bytes() const { return bytes_; }

 private:
  MappedMemory(void* reserved, size_t reserved_size, std::span<std::byte> bytes)
      : reserved_(reserved), reserved_size_(reserved_size), bytes_(bytes) {}

  void* reserved_;  ///< of address space; null: moved away
  size_t reserved_size_;
  std::span<std::byte> bytes_;  ///< within it
};

}  // namespace passthru
