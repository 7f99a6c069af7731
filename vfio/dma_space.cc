// SPDX-License-Identifier: MIT
// A change happens in all address spaces, or in no address space.
#include "vfio/dma_space.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <optional>
#include <utility>

#include "vfio/attach_advice.h"
#include "vfio/iova_ranges.h"

namespace passthru {
namespace {

constexpr std::array kBackends = {Backend::Group, Backend::Cdev};

constexpr size_t index_of(Backend backend) {
  return static_cast<size_t>(backend);
}

/// Returns whether an error of mapping a file means that only memory can be mapped.
bool needs_memory(int code) {
  return code == ENOTTY || code == EOPNOTSUPP || code == EINVAL;
}

uint64_t page_size() {
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

IommuSpace& DmaSpace::space(Backend backend) {
  if (backend == Backend::Group) return container_;
  return ioas_;
}

Result<void> DmaSpace::add(uint64_t iova, std::span<std::byte> memory, bool writable) {
  return add_memory(iova, {.bytes = memory, .writable = writable, .needed = true});
}

Result<void> DmaSpace::offer(uint64_t iova, std::span<std::byte> memory) {
  return add_memory(iova, {.bytes = memory, .writable = true, .needed = false});
}

Result<void> DmaSpace::add_file(uint64_t iova, int fd, uint64_t offset, std::span<std::byte> memory,
                                bool writable) {
  const std::string operation = fmt::format("add descriptor {} as guest memory at {:#x}", fd, iova);
  Fd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 0));
  if (!copy) return fail(errno, operation);
  if (offset % page_size() != 0 || memory.size() > UINT64_MAX - offset) {
    return fail(
        EINVAL, operation,
        fmt::format("the offset must be a multiple of {}, and the end below 2^64", page_size()));
  }
  return add_memory(iova, {.bytes = memory,
                           .writable = writable,
                           .needed = true,
                           .file = std::move(copy),
                           .file_offset = offset});
}

Result<void> DmaSpace::add_memory(uint64_t iova, Memory memory) {
  const uint64_t size = memory.bytes.size();
  const std::string operation = fmt::format("add guest memory [{:#x}, +{:#x})", iova, size);
  const auto address = reinterpret_cast<uintptr_t>(memory.bytes.data());
  if (size == 0 || (iova | size | address) % page_size() != 0) {
    return fail(EINVAL, operation,
                fmt::format("address, memory and size must be multiples of {}", page_size()));
  }
  if (size - 1 > UINT64_MAX - iova)
    return fail(EINVAL, operation, "it wraps around the address space");

  MutexLock lock(space_mutex_);
  auto next = memory_.lower_bound(iova);
  const bool reaches_next = next != memory_.end() && next->first - iova < size;
  const bool in_previous = next != memory_.begin() &&
                           iova - std::prev(next)->first < std::prev(next)->second.bytes.size();
  if (reaches_next || in_previous) return fail(EINVAL, operation, "it overlaps other guest memory");

  const bool needed = memory.needed;
  const auto added = memory_.emplace_hint(next, iova, std::move(memory));
  Result<void> refused;
  bool somewhere = false;
  for (const Backend backend : kBackends) {
    if (!space(backend).active()) continue;
    auto mapped = map(backend, *added);
    if (mapped) {
      somewhere = true;
    } else if (refused) {
      refused = std::move(mapped);
    }
  }
  // Optional memory may be in some address spaces only.
  if (refused || (somewhere && !needed)) {
    count_maps();
    return {};
  }
  drop(*added);
  memory_.erase(added);
  return refused;
}

Result<void> DmaSpace::remove(uint64_t iova) {
  MutexLock lock(space_mutex_);
  const auto found = memory_.find(iova);
  if (found == memory_.end()) {
    return fail(ENOENT, fmt::format("remove guest memory at {:#x}", iova),
                "no memory was added there");
  }
  auto unmapped = unmap(*found);
  if (unmapped) memory_.erase(found);
  count_maps();
  return unmapped;
}

void DmaSpace::forget(uint64_t iova) {
  MutexLock lock(space_mutex_);
  const auto found = memory_.find(iova);
  if (found == memory_.end()) return;
  drop(*found);
  memory_.erase(found);
  count_maps();
}

Result<void> DmaSpace::use_container(Fd container) {
  MutexLock lock(space_mutex_);
  return container_.adopt(std::move(container));
}

Result<void> DmaSpace::use_iommufd(Fd iommufd) {
  MutexLock lock(space_mutex_);
  return ioas_.adopt(std::move(iommufd));
}

bool DmaSpace::has_iommufd() const {
  MutexLock lock(space_mutex_);
  return ioas_.opened();
}

Result<int> DmaSpace::attach_group(uint32_t group, bool allow_unsafe_interrupts, Fd given,
                                   Attachment attachment, const AttachFactsReader& facts) {
  MutexLock lock(space_mutex_);
  if (!allow_unsafe_interrupts) {
    PASSTHRU_TRY(
        require_interrupt_remapping(Backend::Group, fmt::format("attach group {}", group)));
  }
  const bool first = !container_.active();
  const int fd = PASSTHRU_TRY(container_.attach(group, std::move(given), attachment, facts));
  if (!first) return fd;
  auto ready = map_all(Backend::Group);
  if (!ready) {
    container_.detach(group, attachment);
    forget_maps(Backend::Group);
    return tl::unexpected(std::move(ready).error());
  }
  return fd;
}

void DmaSpace::detach_group(uint32_t group, Attachment attachment) {
  MutexLock lock(space_mutex_);
  container_.detach(group, attachment);
  forget_maps(Backend::Group);
}

bool DmaSpace::has_group(uint32_t group) const {
  MutexLock lock(space_mutex_);
  return container_.has(group);
}

Result<Fd> DmaSpace::attach_cdev(Fd device, bool allow_unsafe_interrupts, Attachment attachment,
                                 const AttachFactsReader& facts) {
  MutexLock lock(space_mutex_);
  if (!allow_unsafe_interrupts) {
    PASSTHRU_TRY(require_interrupt_remapping(Backend::Cdev, "bind the device to an iommufd"));
  }
  const bool first = !ioas_.active();
  const bool runs = attachment == Attachment::HandedOver;
  if (first && runs) PASSTHRU_TRY(map_before_attach());
  if (auto attached = ioas_.attach(device.get(), attachment, facts); !attached) {
    if (first && runs) ioas_.close();
    forget_maps(Backend::Cdev);
    return tl::unexpected(std::move(attached).error());
  }
  if (runs) count_maps();
  if (!first || runs) return device;
  if (auto mapped = map_all(Backend::Cdev); !mapped) {
    ioas_.detach(std::move(device));
    forget_maps(Backend::Cdev);
    return tl::unexpected(std::move(mapped).error());
  }
  return device;
}

// The device runs: its DMA must find all memory from the moment that it moves to our IOAS.
Result<void> DmaSpace::map_before_attach() {
  PASSTHRU_TRY(ioas_.prepare(Attachment::HandedOver));
  auto mapped = map_all(Backend::Cdev);
  if (mapped) return mapped;
  ioas_.close();
  forget_maps(Backend::Cdev);
  return mapped;
}

void DmaSpace::detach_cdev(Fd device, Attachment attachment) {
  MutexLock lock(space_mutex_);
  ioas_.detach(std::move(device), attachment);
  forget_maps(Backend::Cdev);
}

int DmaSpace::iommu_fd(Backend backend) const {
  MutexLock lock(space_mutex_);
  return backend == Backend::Group ? container_.fd() : ioas_.fd();
}

int DmaSpace::group_fd(uint32_t group) const {
  MutexLock lock(space_mutex_);
  return container_.group_fd(group);
}

Result<void> DmaSpace::require_interrupt_remapping(Backend backend, const std::string& whom) const {
  // Without allow_unsafe_interrupts, the kernel itself refuses devices without interrupt remapping.
  if (!PASSTHRU_TRY(kernel_.unsafe_interrupts_allowed(backend))) return {};
  return tl::unexpected(interrupts_unsafe(backend, whom));
}

Result<void> DmaSpace::hot_reset(int device, Backend backend,
                                 std::span<const HotResetFunction> functions) {
  if (backend == Backend::Cdev) {
    for (const HotResetFunction& function : functions) {
      if (!function.owned.value_or(false)) return tl::unexpected(reset_takes(function.bdf, ""));
    }
    return kernel_.hot_reset(device, {});
  }
  std::vector<Container::GroupFd> groups;
  {
    MutexLock lock(space_mutex_);
    groups = PASSTHRU_TRY(container_.groups_of(functions));
  }
  std::vector<int> fds;
  fds.reserve(groups.size());
  for (const Container::GroupFd& group : groups) fds.push_back(group->get());
  return kernel_.hot_reset(device, fds);
}

Result<std::vector<IovaRange>> DmaSpace::usable_iova_ranges() {
  MutexLock lock(space_mutex_);
  std::optional<std::vector<IovaRange>> usable;
  for (const Backend backend : kBackends) {
    if (!space(backend).active()) continue;
    std::vector<IovaRange> ranges = PASSTHRU_TRY(space(backend).iova_ranges());
    usable = usable ? intersection(*usable, ranges) : std::move(ranges);
  }
  return std::move(usable).value_or(std::vector<IovaRange>{});
}

std::vector<DmaMaps> DmaSpace::maps() const {
  MutexLock lock(maps_mutex_);
  return maps_;
}

void DmaSpace::count_maps() {
  std::vector<DmaMaps> all;
  for (const Backend backend : kBackends) {
    if (!space(backend).active()) continue;
    DmaMaps maps{.backend = backend};
    for (const auto& [iova, memory] : memory_) {
      if (!memory.in_iommu[index_of(backend)]) continue;
      ++maps.maps;
      maps.bytes += memory.bytes.size();
    }
    all.push_back(maps);
  }
  MutexLock lock(maps_mutex_);
  maps_ = std::move(all);
}

Result<void> DmaSpace::map_in(IommuSpace& space, const Memories::value_type& memory) {
  const auto& [iova, what] = memory;
  if (what.file) {
    auto mapped = space.map_file(
        iova, {.fd = what.file.get(), .offset = what.file_offset, .size = what.bytes.size()},
        what.writable);
    if (mapped || !needs_memory(mapped.error().code)) return mapped;
  }
  return space.map(iova, what.bytes, what.writable);
}

Result<void> DmaSpace::map(Backend backend, Memories::value_type& memory) {
  auto& [iova, what] = memory;
  auto mapped = map_in(space(backend), memory);
  if (mapped || is_mapped_already(backend, what, mapped.error())) {
    what.in_iommu[index_of(backend)] = true;
    return {};
  }
  Error refused = explain_refusal(backend, memory, std::move(mapped).error());
  uint64_t needed = 0;
  // Offered memory is other devices' registers, which are not locked.
  for (const auto& [start, each] : memory_) needed += each.needed ? each.bytes.size() : 0;
  auto limit = kernel_.locked_memory_limit();
  return tl::unexpected(explain_mapping(std::move(refused), needed, limit ? *limit : UINT64_MAX));
}

// The kernel answers EINVAL and names no address.
Error DmaSpace::explain_refusal(Backend backend, const Memories::value_type& memory, Error error) {
  if (error.code != EINVAL) return error;
  const auto usable = space(backend).iova_ranges();
  if (!usable) return error;
  const IovaRange wanted{memory.first, memory.first + memory.second.bytes.size() - 1};
  const auto gap = gap_met(*usable, wanted);
  return gap ? explain_address(std::move(error), wanted, *gap) : error;
}

// Our own memory never overlaps. A container that was handed over has the memory of the process
// before, mapped at the same addresses.
bool DmaSpace::is_mapped_already(Backend backend, const Memory& memory,
                                 const Error& refused) const {
  return refused.code == EEXIST && backend == Backend::Group && memory.needed &&
         container_.handed_over();
}

// On an error the caller detaches the device, which was the first device. All mappings go with it.
Result<void> DmaSpace::map_all(Backend backend) {
  for (auto& each : memory_) {
    auto mapped = map(backend, each);
    if (!mapped && each.second.needed) return mapped;
  }
  count_maps();
  return {};
}

void DmaSpace::forget_maps(Backend backend) {
  if (space(backend).active()) return;
  for (auto& [iova, memory] : memory_) memory.in_iommu[index_of(backend)] = false;
  count_maps();
}

// Unmaps the memory in every space, whatever the others answer.
void DmaSpace::drop(const Memories::value_type& memory) {
  const auto& [iova, what] = memory;
  for (const Backend backend : kBackends) {
    if (!what.in_iommu[index_of(backend)]) continue;
    ignore(space(backend).unmap(iova, what.bytes.size()),
           "the kernel drops the mapping with the last device at the latest");
  }
}

// If one space has unmapped the memory and the other refuses, the memory is mapped in the first
// space again.
Result<void> DmaSpace::unmap(Memories::value_type& memory) {
  auto& [iova, what] = memory;
  std::array<bool, 2> before = what.in_iommu;
  for (const Backend backend : kBackends) {
    bool& mapped = what.in_iommu[index_of(backend)];
    if (!mapped) continue;
    auto unmapped = space(backend).unmap(iova, what.bytes.size());
    if (unmapped) {
      mapped = false;
      continue;
    }
    if (before != what.in_iommu) {
      ignore(map(Backend::Group, memory), "the first error is reported");
    }
    return unmapped;
  }
  return {};
}

}  // namespace passthru
