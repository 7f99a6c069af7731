// SPDX-License-Identifier: MIT
// Owns the order in which a container is set up, and that a failure on the way leaves nothing
// behind.
#include "vfio/dma_space.h"

#include <fmt/format.h>
#include <linux/vfio.h>
#include <unistd.h>

#include <utility>

#include "vfio/attach_advice.h"

namespace passthru {
namespace {

uint64_t page_size() {
  static const auto size = static_cast<uint64_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

}  // namespace

Result<void> DmaSpace::add(uint64_t iova, std::span<std::byte> memory, bool writable) {
  const std::string operation =
      fmt::format("add guest memory [{:#x}, +{:#x})", iova, memory.size());
  const uint64_t size = memory.size();
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
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

  const auto added = memory_.emplace_hint(next, iova, Memory{memory, writable});
  if (!container_) return {};
  auto mapped = map(container_.get(), iova, added->second);
  if (!mapped) memory_.erase(added);
  return mapped;
}

Result<void> DmaSpace::remove(uint64_t iova) {
  MutexLock lock(space_mutex_);
  const auto found = memory_.find(iova);
  if (found == memory_.end()) {
    return fail(ENOENT, fmt::format("remove guest memory at {:#x}", iova), "none was added there");
  }
  if (container_)
    PASSTHRU_TRY(kernel_.unmap_dma(container_.get(), iova, found->second.bytes.size()));
  memory_.erase(found);
  return {};
}

void DmaSpace::forget(uint64_t iova) {
  MutexLock lock(space_mutex_);
  const auto found = memory_.find(iova);
  if (found == memory_.end()) return;
  if (container_) {
    ignore(kernel_.unmap_dma(container_.get(), iova, found->second.bytes.size()),
           "the kernel drops it with the container at the latest");
  }
  memory_.erase(found);
}

Result<int> DmaSpace::attach_group(uint32_t group, bool allow_unsafe_interrupts) {
  MutexLock lock(space_mutex_);
  if (!allow_unsafe_interrupts) PASSTHRU_TRY(require_interrupt_remapping(group));
  if (auto found = groups_.find(group); found != groups_.end()) {
    ++found->second.uses;
    return found->second.fd.get();
  }

  // On an early return `fd` closes before `container`: that detaches the group, and with the last
  // group the kernel drops the IOMMU and every mapping.
  const bool first = groups_.empty();
  Fd container = first ? PASSTHRU_TRY(open_container()) : Fd();
  const int target = first ? container.get() : container_.get();
  Fd fd = PASSTHRU_TRY(open_group(group));
  auto attached = kernel_.set_container(fd.get(), target);
  if (attached && first) attached = kernel_.set_iommu(target, VFIO_TYPE1v2_IOMMU);
  if (!attached) return tl::unexpected(explain_iommu(std::move(attached).error(), group));
  if (first) {
    PASSTHRU_TRY(map_all(target));
    container_ = std::move(container);
  }
  const int result = fd.get();
  groups_.emplace(group, Group{std::move(fd), 1});
  return result;
}

void DmaSpace::detach_group(uint32_t group) {
  MutexLock lock(space_mutex_);
  const auto found = groups_.find(group);
  if (found == groups_.end() || --found->second.uses != 0) return;
  groups_.erase(found);
  // A container without groups has lost its IOMMU and its mappings: the next group gets a new one.
  if (groups_.empty()) container_.reset();
}

Result<void> DmaSpace::require_interrupt_remapping(uint32_t group) const {
  // Type1 refuses a group without interrupt remapping by itself, unless it was told not to.
  if (!PASSTHRU_TRY(kernel_.unsafe_interrupts_allowed())) return {};
  return tl::unexpected(interrupts_unsafe(group));
}

Result<Fd> DmaSpace::open_container() const {
  auto opened = kernel_.open_container();
  if (!opened) return tl::unexpected(explain_container(std::move(opened).error()));
  Fd container = std::move(*opened);
  const int version = PASSTHRU_TRY(kernel_.api_version(container.get()));
  if (version != VFIO_API_VERSION) {
    return fail(EPROTO, "VFIO_GET_API_VERSION", fmt::format("version {} is unknown", version));
  }
  if (!PASSTHRU_TRY(kernel_.has_extension(container.get(), VFIO_TYPE1v2_IOMMU))) {
    auto error = fail(ENODEV, "VFIO_CHECK_EXTENSION", "the kernel offers no type1v2 IOMMU");
    error.value().advice = "Load it: modprobe vfio_iommu_type1";
    return error;
  }
  return container;
}

Result<void> DmaSpace::hot_reset(int device, std::span<const HotResetFunction> functions) {
  MutexLock lock(space_mutex_);
  std::map<uint32_t, int> owned;
  for (const HotResetFunction& function : functions) {
    const auto group = groups_.find(function.group);
    if (group == groups_.end()) {
      return tl::unexpected(
          Error{.code = EPERM, .operation = "VFIO_DEVICE_PCI_HOT_RESET"}
              .because(fmt::format("it would also reset {}, of IOMMU group {}, which this VM does "
                                   "not have",
                                   function.bdf.str(), function.group))
              .advise("Assign the devices of one slot or bus to the same VM"));
    }
    owned[function.group] = group->second.fd.get();
  }
  std::vector<int> groups;
  groups.reserve(owned.size());
  for (const auto& [number, fd] : owned) groups.push_back(fd);
  return kernel_.hot_reset(device, groups);
}

Result<Fd> DmaSpace::open_group(uint32_t group) const {
  auto opened = kernel_.open_group(group);
  if (!opened) return tl::unexpected(explain_group(std::move(opened).error(), group));
  Fd fd = std::move(*opened);
  const GroupStatus status = PASSTHRU_TRY(kernel_.group_status(fd.get()));
  if (!status.viable) return tl::unexpected(group_not_viable(group));
  return fd;
}

Result<void> DmaSpace::map(int container, uint64_t iova, const Memory& memory) const {
  auto mapped = kernel_.map_dma(container, iova, memory.bytes, memory.writable);
  if (mapped) return {};
  uint64_t needed = 0;
  for (const auto& [start, each] : memory_) needed += each.bytes.size();
  auto limit = kernel_.locked_memory_limit();
  return tl::unexpected(
      explain_mapping(std::move(mapped).error(), needed, limit ? *limit : UINT64_MAX));
}

Result<void> DmaSpace::map_all(int container) const {
  for (auto each = memory_.begin(); each != memory_.end(); ++each) {
    auto mapped = map(container, each->first, each->second);
    if (mapped) continue;
    while (each != memory_.begin()) {
      --each;
      ignore(kernel_.unmap_dma(container, each->first, each->second.bytes.size()),
             "closing the group drops what is left");
    }
    return mapped;
  }
  return {};
}

}  // namespace passthru
