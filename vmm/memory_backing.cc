// SPDX-License-Identifier: MIT
// The mapping of guest RAM: first aligned address space, then memory in it.
#include "vmm/memory_backing.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/memfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fd.h"
#include "vmm/huge_pages.h"
#include "vmm/memory_map.h"

namespace passthru {
namespace {

using Kind = MemoryBacking::Kind;

constexpr const char* kOperation = "allocate the guest's memory";

Error refused(int code, uint64_t bytes) {
  return Error{.code = code, .operation = kOperation}
      .because(fmt::format("{} MiB: {}", bytes / kMiB, std::strerror(code)))
      .advise("Give the guest less with --memory");
}

std::byte* align_up(void* address, uint64_t alignment) {
  const auto value = reinterpret_cast<uintptr_t>(address);
  return static_cast<std::byte*>(address) + (alignment - value % alignment) % alignment;
}

unsigned memfd_flags(const MemoryBacking& backing) {
  if (backing.kind == Kind::Memfd) return MFD_CLOEXEC;
  const auto power = static_cast<unsigned>(std::countr_zero(backing.huge_page()));
  return MFD_CLOEXEC | MFD_HUGETLB | power << MFD_HUGE_SHIFT;
}

Result<Fd> make_file(uint64_t bytes, const MemoryBacking& backing) {
  // The name appears in /proc/PID/maps and smaps.
  Fd file(::memfd_create("guest-ram", memfd_flags(backing)));
  if (!file && backing.kind == Kind::Hugetlbfs) {
    return tl::unexpected(explain_huge_pages(errno, bytes, backing.huge_page()));
  }
  if (!file) return fail(errno, "create a memfd");
  if (::ftruncate(file.get(), static_cast<off_t>(bytes)) != 0) {
    return tl::unexpected(refused(errno, bytes));
  }
  return file;
}

// Allocates all huge pages now. The mapping has reserved them, but regardless of NUMA nodes and
// control groups: a missing page would raise SIGBUS at its first access. Returns errno, or 0.
int take_huge_pages(const Fd& file, uint64_t bytes) {
  for (;;) {
    if (::fallocate(file.get(), 0, 0, static_cast<off_t>(bytes)) == 0) return 0;
    if (errno != EINTR) return errno;
  }
}

}  // namespace

Result<MappedMemory> MappedMemory::map(uint64_t bytes, const MemoryBacking& backing) {
  Fd file;  // its mapping keeps it
  if (backing.kind != Kind::Anonymous) file = PASSTHRU_TRY(make_file(bytes, backing));

  const uint64_t alignment = std::max(MemoryBacking::kUsualHugePage, backing.huge_page());
  const size_t reserved_size = bytes + alignment;
  void* const reserved =
      ::mmap(nullptr, reserved_size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (reserved == MAP_FAILED) return tl::unexpected(refused(errno, bytes));
  MappedMemory memory(reserved, reserved_size, {align_up(reserved, alignment), bytes});
  const int kind = file ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
  if (::mmap(memory.bytes().data(), bytes, PROT_READ | PROT_WRITE, MAP_FIXED | kind, file.get(),
             0) == MAP_FAILED) {
    const int code = errno;
    if (backing.kind != Kind::Hugetlbfs) return tl::unexpected(refused(code, bytes));
    return tl::unexpected(explain_huge_pages(code, bytes, backing.huge_page()));
  }
  const int refusal = backing.kind == Kind::Hugetlbfs ? take_huge_pages(file, bytes) : 0;
  if (refusal != 0) {
    // Frees the allocated and reserved pages first, so that the error counts them as free.
    static_cast<void>(MappedMemory(std::move(memory)));
    file.reset();
    return tl::unexpected(explain_huge_pages(refusal, bytes, backing.huge_page()));
  }
  // Both may fail: guest RAM works without huge pages, and a fork works with it mapped.
  if (backing.kind != Kind::Hugetlbfs) {
    static_cast<void>(::madvise(memory.bytes().data(), bytes, MADV_HUGEPAGE));
  }
  static_cast<void>(::madvise(memory.bytes().data(), bytes, MADV_DONTFORK));
  return memory;
}

MappedMemory::MappedMemory(MappedMemory&& other) noexcept
    : reserved_(std::exchange(other.reserved_, nullptr)),
      reserved_size_(other.reserved_size_),
      bytes_(other.bytes_) {}

MappedMemory::~MappedMemory() {
  if (reserved_ != nullptr) ::munmap(reserved_, reserved_size_);
}

}  // namespace passthru
