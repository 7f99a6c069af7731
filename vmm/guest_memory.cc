// SPDX-License-Identifier: MIT
// Owns the mapping behind guest RAM.
#include "vmm/guest_memory.h"

#include <fmt/format.h>
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "vmm/memory_map.h"

namespace passthru {
namespace {

constexpr size_t kHugePage = 2 * kMiB;

std::byte* align_up(void* address) {
  const auto value = reinterpret_cast<uintptr_t>(address);
  return static_cast<std::byte*>(address) + (kHugePage - value % kHugePage) % kHugePage;
}

}  // namespace

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(uint64_t bytes) {
  // Aligned like the guest's own addresses, so that both KVM and the IOMMU can use large pages.
  const size_t reserved = bytes + kHugePage;
  void* memory = ::mmap(nullptr, reserved, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    const int code = errno;
    return tl::unexpected(Error{.code = code, .operation = "allocate the guest's memory"}
                              .because(fmt::format("{} MiB: {}", bytes / kMiB, std::strerror(code)))
                              .advise("Give the guest less with --memory"));
  }
  // Both are wishes: a kernel without huge pages or a fork without them works as well.
  static_cast<void>(::madvise(memory, reserved, MADV_HUGEPAGE));
  static_cast<void>(::madvise(memory, reserved, MADV_DONTFORK));
  return std::unique_ptr<GuestMemory>(new GuestMemory(memory, reserved, bytes));
}

GuestMemory::GuestMemory(void* reserved, size_t reserved_size, uint64_t bytes)
    : reserved_(reserved), reserved_size_(reserved_size) {
  std::byte* const first = align_up(reserved);
  const uint64_t low = std::min(bytes, kLowRamEnd);
  ranges_.push_back({0, {first, low}});
  if (bytes > low) ranges_.push_back({kHighRamStart, {first + low, bytes - low}});
}

GuestMemory::~GuestMemory() {
  ::munmap(reserved_, reserved_size_);
}

Result<std::span<std::byte>> GuestMemory::at(uint64_t address, uint64_t size) const {
  for (const Range& range : ranges_) {
    const uint64_t length = range.bytes.size();
    if (address < range.address || address - range.address > length) continue;
    const uint64_t offset = address - range.address;
    if (size <= length - offset) return range.bytes.subspan(offset, size);
  }
  return fail(EINVAL, "reach the guest's memory",
              fmt::format("{} bytes at {:#x} are not all RAM", size, address));
}

Result<void> GuestMemory::write(uint64_t address, std::span<const std::byte> bytes) const {
  const auto target = PASSTHRU_TRY(at(address, bytes.size()));
  std::copy(bytes.begin(), bytes.end(), target.begin());
  return {};
}

}  // namespace passthru
