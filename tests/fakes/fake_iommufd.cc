// SPDX-License-Identifier: MIT
// The fake kernel's iommufd and the devices' own nodes, after drivers/iommu/iommufd/ and
// drivers/vfio/device_cdev.c of Linux 6.12.
#include <fcntl.h>

#include <algorithm>

#include "tests/fakes/fake_kernel.h"

namespace passthru {
Result<std::shared_ptr<FakeKernel::Iommufd>> FakeKernel::find_iommufd(int fd, const char* call) {
  Handle* handle = PASSTHRU_TRY(find(fd, call));
  if (!handle->iommufd) return passthru::fail(ENOTTY, call);
  return handle->iommufd;
}

Result<FakeKernel::AddressSpace*> FakeKernel::find_space(int fd, uint32_t ioas, const char* call) {
  const auto iommufd = PASSTHRU_TRY(find_iommufd(fd, call));
  const auto space = iommufd->spaces.find(ioas);
  if (space == iommufd->spaces.end()) return passthru::fail(ENOENT, call);
  return &space->second;
}

Result<FakeKernel::Handle*> FakeKernel::find_cdev(int fd, const char* call) {
  Handle* handle = PASSTHRU_TRY(find(fd, call));
  if (handle->device == nullptr) return passthru::fail(ENOTTY, call);
  if (!handle->cdev || !handle->cdev->iommufd) return passthru::fail(EINVAL, call);
  return handle;
}

bool FakeKernel::owns(const Iommufd* iommufd, const FakeDevice* device) const {
  return std::any_of(handles_.begin(), handles_.end(), [&](const auto& entry) {
    return entry.second.cdev && entry.second.cdev->iommufd.get() == iommufd &&
           entry.second.group == device->spec().group;
  });
}

bool FakeKernel::cdev_bound(uint32_t group) const {
  return std::any_of(handles_.begin(), handles_.end(), [&](const auto& entry) {
    return entry.second.cdev && entry.second.cdev->iommufd && entry.second.group == group;
  });
}

Result<Fd> FakeKernel::open_iommufd() {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "open_iommufd"}));
  return hand_out({.peer = Fd(), .iommufd = std::make_shared<Iommufd>()});
}

Result<Fd> FakeKernel::open_cdev(const std::string& name) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "open_cdev"}));
  for (auto& device : devices_) {
    if (device->spec().cdev() != name || !device->spec().on_vfio) continue;
    return hand_out(
        {.peer = Fd(), .group = device->spec().group, .device = device.get(), .cdev = Cdev{}});
  }
  return passthru::fail(ENOENT, "open /dev/vfio/devices/" + name);
}

Result<std::string> FakeKernel::device_number(int fd) {
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = "fstat", .fd = fd}));
  const Handle* handle = PASSTHRU_TRY(find(fd, "fstat"));
  if (!handle->cdev) return passthru::fail(EINVAL, "fstat");
  return "511:" + handle->device->spec().cdev().substr(4);  // "vfio3"
}

Result<uint32_t> FakeKernel::bind_iommufd(int device, int iommufd) {
  constexpr const char* kCall = "VFIO_DEVICE_BIND_IOMMUFD";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = device}));
  Handle* handle = PASSTHRU_TRY(find(device, kCall));
  if (handle->device == nullptr) return passthru::fail(ENOTTY, kCall);
  if (!handle->cdev || iommufd < 0) return passthru::fail(EINVAL, kCall);
  if (group_open(handle->group)) return passthru::fail(EBUSY, kCall);
  if (handle->cdev->iommufd) return passthru::fail(EINVAL, kCall);
  auto target = find(iommufd, kCall);
  if (!target) return passthru::fail(EBADF, kCall);
  if (!(*target)->iommufd) return passthru::fail(EBADFD, kCall);
  const bool open_elsewhere = std::any_of(handles_.begin(), handles_.end(), [&](const auto& entry) {
    return entry.second.device == handle->device && entry.second.opens_device();
  });
  if (open_elsewhere) return passthru::fail(EINVAL, kCall);
  PASSTHRU_TRY(check_remapping(kCall));
  if (!groups_.at(handle->group).viable) return passthru::fail(EPERM, kCall);
  handle->cdev->iommufd = (*target)->iommufd;
  return handle->cdev->iommufd->next_id++;
}

Result<void> FakeKernel::attach_ioas(int device, uint32_t ioas) {
  constexpr const char* kCall = "VFIO_DEVICE_ATTACH_IOMMUFD_PT";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = device, .index = ioas}));
  Cdev& cdev = *PASSTHRU_TRY(find_cdev(device, kCall))->cdev;
  auto& spaces = cdev.iommufd->spaces;
  if (!spaces.contains(ioas)) return passthru::fail(ENOENT, kCall);
  if (cdev.space != 0) --spaces.at(cdev.space).devices;
  cdev.space = ioas;
  ++spaces.at(ioas).devices;
  return {};
}

Result<void> FakeKernel::detach_ioas(int device) {
  constexpr const char* kCall = "VFIO_DEVICE_DETACH_IOMMUFD_PT";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = device}));
  Cdev& cdev = *PASSTHRU_TRY(find_cdev(device, kCall))->cdev;
  if (cdev.space != 0) --cdev.iommufd->spaces.at(cdev.space).devices;
  cdev.space = 0;
  return {};
}

Result<uint32_t> FakeKernel::alloc_ioas(int iommufd) {
  constexpr const char* kCall = "IOMMU_IOAS_ALLOC";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = iommufd}));
  const auto found = PASSTHRU_TRY(find_iommufd(iommufd, kCall));
  const uint32_t id = found->next_id++;
  found->spaces.emplace(id, AddressSpace{});
  return id;
}

Result<void> FakeKernel::destroy_ioas(int iommufd, uint32_t ioas) {
  constexpr const char* kCall = "IOMMU_DESTROY";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = iommufd, .index = ioas}));
  reap();
  const AddressSpace* space = PASSTHRU_TRY(find_space(iommufd, ioas, kCall));
  if (space->devices != 0) return passthru::fail(EBUSY, kCall);
  PASSTHRU_TRY(find_iommufd(iommufd, kCall))->spaces.erase(ioas);
  return {};
}

Result<void> FakeKernel::map_into(AddressSpace& space, uint64_t iova, uint64_t size,
                                  const char* call) {
  if (size == 0 || (iova | size) % kIommuPage != 0) return passthru::fail(EINVAL, call);
  if (iova > UINT64_MAX - (size - 1)) return passthru::fail(EOVERFLOW, call);
  if (space.devices != 0 && !usable(iova, size)) return passthru::fail(EINVAL, call);
  uint64_t locked = 0;
  for (const auto& [start, length] : space.dma) {
    if (iova <= start + (length - 1) && start <= iova + (size - 1)) {
      return passthru::fail(EEXIST, call);
    }
    locked += length;
  }
  if (locked > locked_limit_ || size > locked_limit_ - locked) return passthru::fail(ENOMEM, call);
  space.dma[iova] = size;
  return {};
}

Result<void> FakeKernel::map_ioas(int iommufd, uint32_t ioas, uint64_t iova,
                                  std::span<std::byte> memory, bool /*writable*/) {
  constexpr const char* kCall = "IOMMU_IOAS_MAP";
  const FakeHook::Around around(dma_hook, kCall);
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(
      enter({.name = kCall, .fd = iommufd, .index = ioas, .offset = iova, .size = memory.size()}));
  AddressSpace* space = PASSTHRU_TRY(find_space(iommufd, ioas, kCall));
  return map_into(*space, iova, memory.size(), kCall);
}

Result<std::vector<IovaRange>> FakeKernel::ioas_iova_ranges(int iommufd, uint32_t ioas) {
  constexpr const char* kCall = "IOMMU_IOAS_IOVA_RANGES";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall, .fd = iommufd, .index = ioas}));
  const AddressSpace* space = PASSTHRU_TRY(find_space(iommufd, ioas, kCall));
  if (space->devices == 0) return std::vector<IovaRange>{{0, UINT64_MAX}};
  return iova_ranges_;
}

Result<void> FakeKernel::map_ioas_file(int iommufd, uint32_t ioas, uint64_t iova,
                                       const FileRange& file, bool /*writable*/) {
  constexpr const char* kCall = "IOMMU_IOAS_MAP_FILE";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(
      enter({.name = kCall, .fd = iommufd, .index = ioas, .offset = iova, .size = file.size}));
  if (!maps_files_) return passthru::fail(ENOTTY, kCall);
  AddressSpace* space = PASSTHRU_TRY(find_space(iommufd, ioas, kCall));
  if (::fcntl(file.fd, F_GETFD) < 0) return passthru::fail(EBADF, kCall);
  // The kernel pins pages of tmpfs (memfds) and hugetlbfs only; these files also have seals.
  if (::fcntl(file.fd, F_GET_SEALS) < 0) return passthru::fail(EINVAL, kCall);
  return map_into(*space, iova, file.size, kCall);
}

Result<void> FakeKernel::copy_ioas(int iommufd, const IoasRange& from, uint32_t to, uint64_t iova,
                                   bool /*writable*/) {
  constexpr const char* kCall = "IOMMU_IOAS_COPY";
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(
      enter({.name = kCall, .fd = iommufd, .index = to, .offset = iova, .size = from.size}));
  const AddressSpace* source = PASSTHRU_TRY(find_space(iommufd, from.ioas, kCall));
  const auto mapped = source->dma.find(from.iova);
  if (mapped == source->dma.end() || mapped->second != from.size) {
    return passthru::fail(ENOENT, kCall);
  }
  AddressSpace* space = PASSTHRU_TRY(find_space(iommufd, to, kCall));
  return map_into(*space, iova, from.size, kCall);
}

Result<void> FakeKernel::unmap_ioas(int iommufd, const IoasRange& range) {
  constexpr const char* kCall = "IOMMU_IOAS_UNMAP";
  const FakeHook::Around around(dma_hook, kCall);
  MutexLock lock(kernel_mutex_);
  PASSTHRU_TRY(enter({.name = kCall,
                      .fd = iommufd,
                      .index = range.ioas,
                      .offset = range.iova,
                      .size = range.size}));
  AddressSpace* space = PASSTHRU_TRY(find_space(iommufd, range.ioas, kCall));
  if (range.size == 0) return passthru::fail(EINVAL, kCall);
  if (range.iova > UINT64_MAX - (range.size - 1)) return passthru::fail(EOVERFLOW, kCall);
  const uint64_t last = range.iova + (range.size - 1);
  uint64_t unmapped = 0;
  for (const auto& [start, length] : space->dma) {
    const uint64_t end = start + (length - 1);
    if (last < start || end < range.iova) continue;
    if (start < range.iova || last < end) return passthru::fail(ENOENT, kCall);
    unmapped += length;
  }
  std::erase_if(space->dma, [&](const auto& entry) {
    return entry.first >= range.iova && entry.first <= last;
  });
  if (unmapped != range.size) return passthru::fail(ENOENT, kCall);
  return {};
}

}  // namespace passthru
