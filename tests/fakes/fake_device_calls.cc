// SPDX-License-Identifier: MIT
// The fake kernel's calls on a device. Each call is recorded and can be made to fail; then the
// FakeDevice handles it without the kernel's lock.
#include <sys/mman.h>

#include "tests/fakes/fake_kernel.h"

namespace passthru {

Result<DeviceInfo> FakeKernel::device_info(int device) {
  FakeDevice* found = PASSTHRU_TRY(enter_device({.name = "VFIO_DEVICE_GET_INFO", .fd = device}));
  return DeviceInfo{
      .is_pci = true, .resettable = found->spec().resets, .region_count = 9, .irq_count = 5};
}

Result<RegionInfo> FakeKernel::region_info(int device, Region region) {
  const auto index = static_cast<uint32_t>(region);
  FakeDevice* found = PASSTHRU_TRY(
      enter_device({.name = "VFIO_DEVICE_GET_REGION_INFO", .fd = device, .index = index}));
  return found->region_info(region);
}

Result<IrqInfo> FakeKernel::irq_info(int device, Irq irq) {
  const auto index = static_cast<uint32_t>(irq);
  FakeDevice* found = PASSTHRU_TRY(
      enter_device({.name = "VFIO_DEVICE_GET_IRQ_INFO", .fd = device, .index = index}));
  return found->irq_info(irq);
}

Result<void> FakeKernel::bind_irqs(int device, const IrqTrigger& trigger) {
  const FakeHook::Around around(hook, "VFIO_DEVICE_SET_IRQS");
  auto found = enter_device({.name = "VFIO_DEVICE_SET_IRQS",
                             .fd = device,
                             .index = static_cast<uint32_t>(trigger.index),
                             .start = trigger.start,
                             .count = static_cast<uint32_t>(trigger.eventfds.size()),
                             .eventfds = {trigger.eventfds.begin(), trigger.eventfds.end()}});
  if (found) return (*found)->bind(trigger.index, trigger.start, trigger.eventfds);
  MutexLock lock(kernel_mutex_);
  const Handle* const handle = PASSTHRU_TRY(find(device, "VFIO_DEVICE_SET_IRQS"));
  if (handle->device != nullptr) {
    handle->device->bind_failed(trigger.index, trigger.start, trigger.eventfds.size());
  }
  return tl::unexpected(std::move(found).error());
}

Result<void> FakeKernel::disable_irqs(int device, Irq irq) {
  const FakeHook::Around around(hook, "disable VFIO_DEVICE_SET_IRQS");
  const auto index = static_cast<uint32_t>(irq);
  FakeDevice* found =
      PASSTHRU_TRY(enter_device({.name = "VFIO_DEVICE_SET_IRQS", .fd = device, .index = index}));
  return found->disable(irq);
}

Result<void> FakeKernel::act_on_irqs(int device, Irq irq, IrqAction action, uint32_t start,
                                     uint32_t count) {
  const FakeHook::Around around(hook, "VFIO_DEVICE_SET_IRQS");
  const auto index = static_cast<uint32_t>(irq);
  FakeDevice* found = PASSTHRU_TRY(enter_device({.name = "VFIO_DEVICE_SET_IRQS",
                                                 .fd = device,
                                                 .index = index,
                                                 .start = start,
                                                 .count = count}));
  return found->act(irq, action, start, count);
}

Result<void> FakeKernel::bind_unmask_eventfd(int device, Irq irq, int eventfd) {
  const FakeHook::Around around(hook, "VFIO_DEVICE_SET_IRQS");
  const auto index = static_cast<uint32_t>(irq);
  FakeDevice* found = PASSTHRU_TRY(enter_device({.name = "VFIO_DEVICE_SET_IRQS",
                                                 .fd = device,
                                                 .index = index,
                                                 .count = 1,
                                                 .eventfds = {eventfd}}));
  return found->bind_unmask(irq, eventfd);
}

Result<void> FakeKernel::reset_device(int device) {
  const FakeHook::Around around(hook, "VFIO_DEVICE_RESET");
  FakeDevice* found = PASSTHRU_TRY(enter_device({.name = "VFIO_DEVICE_RESET", .fd = device}));
  return found->reset();
}

// As on a host where only the root bus cannot be reset.
Result<std::vector<HotResetFunction>> FakeKernel::hot_reset_info(int device) {
  constexpr const char* kName = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO";
  FakeDevice* found = PASSTHRU_TRY(enter_device({.name = kName, .fd = device}));
  const uint8_t bus = found->spec().bdf.bus;
  if (bus == 0) return passthru::fail(ENODEV, kName);
  MutexLock lock(kernel_mutex_);
  const Handle& handle = *PASSTHRU_TRY(find(device, kName));
  std::vector<HotResetFunction> functions;
  for (FakeDevice* each : on_bus(bus)) {
    HotResetFunction function{.bdf = each->spec().bdf};
    if (handle.cdev) {
      function.owned = each->spec().on_vfio && owns(handle.cdev->iommufd.get(), each);
    } else {
      function.group = each->spec().group;
    }
    functions.push_back(function);
  }
  return functions;
}

Result<void> FakeKernel::hot_reset(int device, std::span<const int> groups) {
  const FakeHook::Around around(hook, "VFIO_DEVICE_PCI_HOT_RESET");
  constexpr const char* kName = "VFIO_DEVICE_PCI_HOT_RESET";
  FakeDevice* found = PASSTHRU_TRY(enter_device({.name = kName, .fd = device}));
  if (found->spec().bdf.bus == 0) return passthru::fail(ENODEV, kName);
  std::vector<FakeDevice*> affected;
  {
    MutexLock lock(kernel_mutex_);
    const Handle& own = *PASSTHRU_TRY(find(device, kName));
    if (own.cdev.has_value() != groups.empty()) return passthru::fail(EINVAL, kName);
    affected = on_bus(found->spec().bdf.bus);
    if (groups.size() > affected.size()) return passthru::fail(EINVAL, kName);
    std::set<uint32_t> owned;
    for (int group : groups) {
      const Handle* handle = PASSTHRU_TRY(find(group, kName));
      if (handle->container || handle->device != nullptr) return passthru::fail(EINVAL, kName);
      owned.insert(handle->group);
    }
    for (const FakeDevice* each : affected) {
      // vfio_pci_is_device_in_set()
      if (!each->spec().on_vfio) return passthru::fail(EINVAL, kName);
      const bool ours =
          own.cdev ? owns(own.cdev->iommufd.get(), each) : owned.contains(each->spec().group);
      if (!ours) return passthru::fail(EINVAL, kName);
    }
  }
  for (FakeDevice* each : affected) {
    if (each->is_busy()) return passthru::fail(EAGAIN, kName);
  }
  for (FakeDevice* each : affected) each->hot_reset();
  return {};
}

Result<void> FakeKernel::read_region(int device, uint64_t fd_offset, std::span<std::byte> data) {
  const FakeHook::Around around(hook, "pread");
  FakeDevice* found = PASSTHRU_TRY(
      enter_device({.name = "pread", .fd = device, .offset = fd_offset, .size = data.size()}));
  return found->read(fd_offset, data);
}

Result<void> FakeKernel::write_region(int device, uint64_t fd_offset,
                                      std::span<const std::byte> data) {
  const FakeHook::Around around(hook, "pwrite");
  FakeDevice* found = PASSTHRU_TRY(
      enter_device({.name = "pwrite", .fd = device, .offset = fd_offset, .size = data.size()}));
  return found->write(fd_offset, data);
}

Result<Mapped> FakeKernel::map_region(int device, uint64_t fd_offset, size_t size, bool writable) {
  const FakeHook::Around around(hook, "mmap");
  FakeDevice* found =
      PASSTHRU_TRY(enter_device({.name = "mmap", .fd = device, .offset = fd_offset, .size = size}));
  const auto mappable = PASSTHRU_TRY(found->map(fd_offset, size));
  // Pages of this kernel may be larger than the host's: the address is a multiple of them.
  const size_t whole = whole_pages(size);
  void* const reserved =
      mmap(nullptr, whole + page_size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (reserved == MAP_FAILED) return passthru::fail(errno, "mmap");
  const size_t ahead =
      (page_size_ - reinterpret_cast<uintptr_t>(reserved) % page_size_) % page_size_;
  std::byte* const place = static_cast<std::byte*>(reserved) + ahead;
  void* address = mmap(place, whole, writable ? PROT_READ | PROT_WRITE : PROT_READ,
                       MAP_SHARED | MAP_FIXED, mappable.fd, static_cast<off_t>(mappable.offset));
  if (ahead != 0) munmap(reserved, ahead);
  munmap(place + whole, page_size_ - ahead);
  if (address == MAP_FAILED) return passthru::fail(errno, "mmap");
  MutexLock lock(kernel_mutex_);
  const Mapped mapped{static_cast<std::byte*>(address), size};
  mapped_[mapped.address] = mapped.size;
  return mapped;
}

void FakeKernel::unmap_region(Mapped mapped) {
  const FakeHook::Around around(hook, "munmap");
  MutexLock lock(kernel_mutex_);
  ignore(enter({.name = "munmap", .size = mapped.size}), "munmap of a mapped region cannot fail");
  mapped_.erase(mapped.address);
  munmap(mapped.address, whole_pages(mapped.size));
}

}  // namespace passthru
