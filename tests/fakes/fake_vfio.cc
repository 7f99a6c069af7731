// SPDX-License-Identifier: MIT
// The fake kernel's containers, groups and DMA mappings, after drivers/vfio/container.c, group.c
// and vfio_iommu_type1.c.
#include <fmt/format.h>
#include <linux/vfio.h>

#include <algorithm>

#include "tests/fakes/fake_kernel.h"

namespace passthru {
Result<std::shared_ptr<FakeKernel::Container>> FakeKernel::find_container(int fd,
                                                                          const char* call) {
  Handle* handle = PASSTHRU_TRY(find(fd, call));
  if (!handle->container) return passthru::fail(ENOTTY, call);
  return handle->container;
}

Result<FakeKernel::Group*> FakeKernel::find_group(int fd, const char* call) {
  Handle* handle = PASSTHRU_TRY(find(fd, call));
  if (handle->container || handle->device != nullptr || handle->iommufd) {
    return passthru::fail(ENOTTY, call);
  }
  return &groups_.at(handle->group);
}

Result<void> FakeKernel::check_remapping(const char* call) const {
  if (!interrupt_remapping_ && !unsafe_allowed_) return passthru::fail(EPERM, call);
  return {};
}

Result<Fd> FakeKernel::open_container() {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "open_container"}));
  return hand_out({.peer = Fd(), .container = std::make_shared<Container>()});
}

Result<Fd> FakeKernel::open_group(uint32_t group) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "open_group", .index = group}));
  reap();
  const std::string operation = fmt::format("open /dev/vfio/{}", group);
  if (!groups_.contains(group)) return passthru::fail(ENOENT, operation);
  if (group_open(group) || cdev_bound(group)) return passthru::fail(EBUSY, operation);
  return hand_out({.peer = Fd(), .container = nullptr, .group = group});
}

Result<int> FakeKernel::api_version(int container) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "VFIO_GET_API_VERSION", .fd = container}));
  auto found = find_container(container, "VFIO_GET_API_VERSION");
  if (!found) return tl::unexpected(std::move(found).error());
  return VFIO_API_VERSION;
}

Result<bool> FakeKernel::has_extension(int container, uint32_t extension) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "VFIO_CHECK_EXTENSION", .fd = container, .index = extension}));
  auto found = find_container(container, "VFIO_CHECK_EXTENSION");
  if (!found) return tl::unexpected(std::move(found).error());
  return extension == VFIO_TYPE1_IOMMU || extension == VFIO_TYPE1v2_IOMMU ||
         extension == VFIO_UNMAP_ALL;
}

Result<GroupStatus> FakeKernel::group_status(int group) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "VFIO_GROUP_GET_STATUS", .fd = group}));
  const Group* found = PASSTHRU_TRY(find_group(group, "VFIO_GROUP_GET_STATUS"));
  return GroupStatus{.viable = found->viable, .container_set = found->container != nullptr};
}

Result<void> FakeKernel::set_container(int group, int container) {
  constexpr const char* kCall = "VFIO_GROUP_SET_CONTAINER";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = group}));
  Group* found = PASSTHRU_TRY(find_group(group, kCall));
  auto target = PASSTHRU_TRY(find_container(container, kCall));
  if (found->container) return passthru::fail(EINVAL, kCall);
  // If the container already has its IOMMU, the kernel attaches the group at once.
  if (target->iommu) PASSTHRU_TRY(check_remapping(kCall));
  target->groups.insert(PASSTHRU_TRY(find(group, kCall))->group);
  found->container = std::move(target);
  return {};
}

Result<void> FakeKernel::unset_container(int group) {
  constexpr const char* kCall = "VFIO_GROUP_UNSET_CONTAINER";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = group}));
  Group* found = PASSTHRU_TRY(find_group(group, kCall));
  const uint32_t number = PASSTHRU_TRY(find(group, kCall))->group;
  if (!found->container) return passthru::fail(EINVAL, kCall);
  const bool device_open = std::any_of(handles_.begin(), handles_.end(), [&](const auto& entry) {
    return entry.second.device != nullptr && entry.second.group == number;
  });
  if (device_open) return passthru::fail(EBUSY, kCall);
  found->container->groups.erase(number);
  if (found->container->groups.empty()) *found->container = Container{};
  found->container.reset();
  return {};
}

Result<void> FakeKernel::set_iommu(int container, uint32_t type) {
  constexpr const char* kCall = "VFIO_SET_IOMMU";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = container, .index = type}));
  auto found = PASSTHRU_TRY(find_container(container, kCall));
  if (found->groups.empty() || found->iommu) return passthru::fail(EINVAL, kCall);
  if (type != VFIO_TYPE1_IOMMU && type != VFIO_TYPE1v2_IOMMU) return passthru::fail(ENODEV, kCall);
  PASSTHRU_TRY(check_remapping(kCall));
  found->iommu = true;
  return {};
}

/// As vfio_pci_validate_vf_token().
Result<void> FakeKernel::check_token(const FakeDevice& device, std::string_view option) {
  constexpr const char* kCall = "VFIO_GROUP_GET_DEVICE_FD";
  constexpr std::string_view kOption = " vf_token=";
  std::optional<VfToken> token;
  if (!option.empty()) {
    if (!option.starts_with(kOption)) return passthru::fail(EINVAL, kCall);
    const auto parsed = VfToken::parse(option.substr(kOption.size()));
    if (!parsed) return passthru::fail(EINVAL, kCall);
    token = *parsed;
  }
  const auto& physical = device.spec().physical;
  const Bdf owner = physical.value_or(device.spec().bdf);
  const bool in_use = std::any_of(handles_.begin(), handles_.end(), [&](const auto& entry) {
    return entry.second.device != nullptr && entry.second.device->spec().physical == owner;
  });
  if (physical || (device.spec().sriov && in_use)) {
    const bool right = token && tokens_.contains(owner) && tokens_.at(owner) == *token;
    return right ? Result<void>{} : passthru::fail(EACCES, kCall);
  }
  if (!token) return {};
  if (!device.spec().sriov) return passthru::fail(EINVAL, kCall);
  tokens_.insert_or_assign(owner, *token);
  return {};
}

Result<void> FakeKernel::set_vf_token(int device, const VfToken& token) {
  const FakeDevice* found =
      PASSTHRU_TRY(enter_device({.name = "VFIO_DEVICE_FEATURE", .fd = device}));
  if (!found->spec().sriov) return passthru::fail(ENOTTY, "VFIO_DEVICE_FEATURE");
  MutexLock lock(kernel_mutex_);
  tokens_.insert_or_assign(found->spec().bdf, token);
  return {};
}

Result<Fd> FakeKernel::open_device(int group, const std::string& name) {
  constexpr const char* kCall = "VFIO_GROUP_GET_DEVICE_FD";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = group}));
  const Group* found = PASSTHRU_TRY(find_group(group, kCall));
  const uint32_t number = PASSTHRU_TRY(find(group, kCall))->group;
  if (!found->container || !found->container->iommu || !found->viable)
    return passthru::fail(EINVAL, kCall);
  reap();
  const size_t space = std::min(name.find(' '), name.size());
  for (auto& device : devices_) {
    if (device->spec().group != number || device->spec().bdf.str() != name.substr(0, space))
      continue;
    if (!device->spec().on_vfio) break;
    PASSTHRU_TRY(check_token(*device, std::string_view(name).substr(space)));
    return hand_out({.peer = Fd(), .container = nullptr, .group = number, .device = device.get()});
  }
  return passthru::fail(ENODEV, kCall);
}

Result<bool> FakeKernel::unsafe_interrupts_allowed(Backend /*backend*/) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "allow_unsafe_interrupts"}));
  return unsafe_allowed_;
}

Result<uint64_t> FakeKernel::locked_memory_limit() {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "getrlimit"}));
  return locked_limit_;
}

Result<void> FakeKernel::map_dma(int container, uint64_t iova, std::span<std::byte> memory,
                                 bool /*writable*/) {
  constexpr const char* kCall = "VFIO_IOMMU_MAP_DMA";
  const FakeHook::Around around(dma_hook, kCall);
  MutexLock lock(kernel_mutex_);
  const uint64_t size = memory.size();
  PASSTHRU_TRY(enter({.name = kCall, .fd = container, .offset = iova, .size = size}));
  auto found = PASSTHRU_TRY(find_container(container, kCall));
  const auto address = reinterpret_cast<uintptr_t>(memory.data());
  if (!found->iommu || size == 0 || (iova | size | address) % kIommuPage != 0 ||
      iova > UINT64_MAX - (size - 1)) {
    return passthru::fail(EINVAL, kCall);
  }
  if (!usable(iova, size)) return passthru::fail(EINVAL, kCall);
  uint64_t locked = 0;
  for (const auto& [start, length] : found->dma) {
    if (iova <= start + (length - 1) && start <= iova + (size - 1))
      return passthru::fail(EEXIST, kCall);
    locked += length;
  }
  if (locked > locked_limit_ || size > locked_limit_ - locked) return passthru::fail(ENOMEM, kCall);
  found->dma[iova] = size;
  return {};
}

Result<std::vector<IovaRange>> FakeKernel::container_iova_ranges(int container) {
  constexpr const char* kCall = "VFIO_IOMMU_GET_INFO";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = container}));
  auto found = PASSTHRU_TRY(find_container(container, kCall));
  if (!found->iommu) return passthru::fail(EINVAL, kCall);
  return iova_ranges_;
}

Result<void> FakeKernel::unmap_dma(int container, uint64_t iova, uint64_t size) {
  constexpr const char* kCall = "VFIO_IOMMU_UNMAP_DMA";
  const FakeHook::Around around(dma_hook, kCall);
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = container, .offset = iova, .size = size}));
  auto found = PASSTHRU_TRY(find_container(container, kCall));
  if (!found->iommu || size == 0 || (iova | size) % kIommuPage != 0 ||
      iova > UINT64_MAX - (size - 1)) {
    return passthru::fail(EINVAL, kCall);
  }
  // type1v2 unmaps only whole mappings, and returns the number of bytes.
  const uint64_t last = iova + (size - 1);
  uint64_t unmapped = 0;
  for (const auto& [start, length] : found->dma) {
    const uint64_t end = start + (length - 1);
    if (last < start || end < iova) continue;
    if (start < iova || last < end) return passthru::fail(EINVAL, kCall);
    unmapped += length;
  }
  std::erase_if(found->dma,
                [&](const auto& entry) { return entry.first >= iova && entry.first <= last; });
  if (unmapped != size) return passthru::fail(ENOENT, kCall);
  return {};
}

}  // namespace passthru
