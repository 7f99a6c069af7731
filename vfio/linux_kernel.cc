// SPDX-License-Identifier: MIT
// LinuxKernel: the ioctls of groups, containers and devices. Each error has errno and the name of
// the request.
#include "vfio/linux_kernel.h"

#include <fmt/format.h>
#include <linux/vfio.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <new>

#include "vfio/iommufd_abi.h"
#include "vfio/kernel_call.h"
#include "vfio/region_caps.h"
#include "vfio/vf_token.h"

namespace passthru {
namespace {

/// All functions of a bus, with room for functions behind its bridges.
constexpr uint32_t kMaxHotResetFunctions = 1U << 16;

/// Calls VFIO_DEVICE_SET_IRQS. `eventfds` follow the struct if `flags` say so.
Result<void> set_irqs(int device, Irq irq, uint32_t flags, uint32_t start, uint32_t count,
                      std::span<const int> eventfds = {}) {
  constexpr const char* kName = "VFIO_DEVICE_SET_IRQS";
  std::vector<std::byte> argument(sizeof(vfio_irq_set) + eventfds.size_bytes());
  auto* set = new (argument.data()) vfio_irq_set;
  set->argsz = static_cast<uint32_t>(argument.size());
  set->flags = flags;
  set->index = static_cast<uint32_t>(irq);
  set->start = start;
  set->count = count;
  if (!eventfds.empty()) std::memcpy(set->data, eventfds.data(), eventfds.size_bytes());

  const int available = PASSTHRU_TRY(
      kernel_value(device, VFIO_DEVICE_SET_IRQS, reinterpret_cast<uintptr_t>(set), kName));
  if (available == 0) return {};
  // A positive value is a failure: the number of available vectors. No vector was enabled.
  return tl::unexpected(Error{.code = ENOSPC,
                              .operation = kName,
                              .index = static_cast<uint32_t>(available),
                              .cause = fmt::format("the host has {} vectors left", available)});
}

uint32_t action_flag(IrqAction action) {
  switch (action) {
    case IrqAction::Mask:
      return VFIO_IRQ_SET_ACTION_MASK;
    case IrqAction::Unmask:
      return VFIO_IRQ_SET_ACTION_UNMASK;
    case IrqAction::Trigger:
      break;
  }
  return VFIO_IRQ_SET_ACTION_TRIGGER;
}

}  // namespace

Result<int> LinuxKernel::api_version(int container) {
  return kernel_value(container, VFIO_GET_API_VERSION, 0, "VFIO_GET_API_VERSION");
}

Result<bool> LinuxKernel::has_extension(int container, uint32_t extension) {
  return PASSTHRU_TRY(
             kernel_value(container, VFIO_CHECK_EXTENSION, extension, "VFIO_CHECK_EXTENSION")) > 0;
}

Result<GroupStatus> LinuxKernel::group_status(int group) {
  vfio_group_status status{.argsz = sizeof status, .flags = 0};
  PASSTHRU_TRY(kernel_call(group, VFIO_GROUP_GET_STATUS, &status, "VFIO_GROUP_GET_STATUS"));
  return GroupStatus{.viable = (status.flags & VFIO_GROUP_FLAGS_VIABLE) != 0,
                     .container_set = (status.flags & VFIO_GROUP_FLAGS_CONTAINER_SET) != 0};
}

Result<void> LinuxKernel::set_container(int group, int container) {
  return kernel_call(group, VFIO_GROUP_SET_CONTAINER, &container, "VFIO_GROUP_SET_CONTAINER");
}

Result<void> LinuxKernel::unset_container(int group) {
  PASSTHRU_TRY(kernel_value(group, VFIO_GROUP_UNSET_CONTAINER, 0, "VFIO_GROUP_UNSET_CONTAINER"));
  return {};
}

Result<void> LinuxKernel::set_iommu(int container, uint32_t type) {
  PASSTHRU_TRY(kernel_value(container, VFIO_SET_IOMMU, type, "VFIO_SET_IOMMU"));
  return {};
}

Result<Fd> LinuxKernel::open_device(int group, const std::string& name) {
  // The kernel makes this descriptor close-on-exec.
  return Fd(PASSTHRU_TRY(kernel_value(group, VFIO_GROUP_GET_DEVICE_FD,
                                      reinterpret_cast<uintptr_t>(name.c_str()),
                                      "VFIO_GROUP_GET_DEVICE_FD")));
}

Result<void> LinuxKernel::set_vf_token(int device, const VfToken& token) {
  std::vector<std::byte> argument(sizeof(vfio_device_feature) + token.bytes().size());
  auto* feature = new (argument.data()) vfio_device_feature{};
  feature->argsz = static_cast<uint32_t>(argument.size());
  feature->flags = VFIO_DEVICE_FEATURE_SET | VFIO_DEVICE_FEATURE_PCI_VF_TOKEN;
  std::memcpy(feature->data, token.bytes().data(), token.bytes().size());
  return kernel_call(device, VFIO_DEVICE_FEATURE, feature, "VFIO_DEVICE_FEATURE");
}

Result<void> LinuxKernel::map_dma(int container, uint64_t iova, std::span<std::byte> memory,
                                  bool writable) {
  vfio_iommu_type1_dma_map map{};
  map.argsz = sizeof map;
  map.flags = VFIO_DMA_MAP_FLAG_READ | (writable ? VFIO_DMA_MAP_FLAG_WRITE : 0);
  map.vaddr = reinterpret_cast<uintptr_t>(memory.data());
  map.iova = iova;
  map.size = memory.size();
  return kernel_call(container, VFIO_IOMMU_MAP_DMA, &map, "VFIO_IOMMU_MAP_DMA");
}

Result<void> LinuxKernel::unmap_dma(int container, uint64_t iova, uint64_t size) {
  vfio_iommu_type1_dma_unmap unmap{};
  unmap.argsz = sizeof unmap;
  unmap.iova = iova;
  unmap.size = size;
  PASSTHRU_TRY(kernel_call(container, VFIO_IOMMU_UNMAP_DMA, &unmap, "VFIO_IOMMU_UNMAP_DMA"));
  // If no mapping existed, the kernel reports success and a size of 0.
  if (unmap.size != size) return fail(ENOENT, "VFIO_IOMMU_UNMAP_DMA");
  return {};
}

Result<DeviceInfo> LinuxKernel::device_info(int device) {
  vfio_device_info info{};
  info.argsz = sizeof info;
  PASSTHRU_TRY(kernel_call(device, VFIO_DEVICE_GET_INFO, &info, "VFIO_DEVICE_GET_INFO"));
  return DeviceInfo{.is_pci = (info.flags & VFIO_DEVICE_FLAGS_PCI) != 0,
                    .resettable = (info.flags & VFIO_DEVICE_FLAGS_RESET) != 0,
                    .region_count = info.num_regions,
                    .irq_count = info.num_irqs};
}

Result<RegionInfo> LinuxKernel::region_info(int device, Region region) {
  constexpr const char* kName = "VFIO_DEVICE_GET_REGION_INFO";
  vfio_region_info info{};
  info.index = static_cast<uint32_t>(region);
  const auto answer = PASSTHRU_TRY(whole_answer(device, VFIO_DEVICE_GET_REGION_INFO, info, kName));
  std::memcpy(&info, answer.data(), sizeof info);

  RegionInfo result{.size = info.size,
                    .fd_offset = info.offset,
                    .readable = (info.flags & VFIO_REGION_INFO_FLAG_READ) != 0,
                    .writable = (info.flags & VFIO_REGION_INFO_FLAG_WRITE) != 0,
                    .mappable = (info.flags & VFIO_REGION_INFO_FLAG_MMAP) != 0};
  if ((info.flags & VFIO_REGION_INFO_FLAG_CAPS) == 0) return result;
  auto caps = PASSTHRU_TRY(parse_region_caps(answer, info.cap_offset, info.size));
  result.msix_mappable = caps.msix_mappable;
  if (caps.sparse) {
    result.mappable = result.mappable && !caps.sparse->empty();
    result.sparse = std::move(*caps.sparse);
  }
  return result;
}

Result<IrqInfo> LinuxKernel::irq_info(int device, Irq irq) {
  vfio_irq_info info{};
  info.argsz = sizeof info;
  info.index = static_cast<uint32_t>(irq);
  PASSTHRU_TRY(kernel_call(device, VFIO_DEVICE_GET_IRQ_INFO, &info, "VFIO_DEVICE_GET_IRQ_INFO"));
  return IrqInfo{.count = info.count,
                 .eventfd = (info.flags & VFIO_IRQ_INFO_EVENTFD) != 0,
                 .maskable = (info.flags & VFIO_IRQ_INFO_MASKABLE) != 0,
                 .automasked = (info.flags & VFIO_IRQ_INFO_AUTOMASKED) != 0,
                 .noresize = (info.flags & VFIO_IRQ_INFO_NORESIZE) != 0};
}

Result<void> LinuxKernel::bind_irqs(int device, const IrqTrigger& trigger) {
  return set_irqs(device, trigger.index, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER,
                  trigger.start, static_cast<uint32_t>(trigger.eventfds.size()), trigger.eventfds);
}

Result<void> LinuxKernel::disable_irqs(int device, Irq irq) {
  return set_irqs(device, irq, VFIO_IRQ_SET_DATA_NONE | VFIO_IRQ_SET_ACTION_TRIGGER, 0, 0);
}

Result<void> LinuxKernel::act_on_irqs(int device, Irq irq, IrqAction action, uint32_t start,
                                      uint32_t count) {
  return set_irqs(device, irq, VFIO_IRQ_SET_DATA_NONE | action_flag(action), start, count);
}

Result<void> LinuxKernel::bind_unmask_eventfd(int device, Irq irq, int eventfd) {
  return set_irqs(device, irq, VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_UNMASK, 0, 1,
                  {&eventfd, 1});
}

Result<void> LinuxKernel::reset_device(int device) {
  PASSTHRU_TRY(kernel_value(device, VFIO_DEVICE_RESET, 0, "VFIO_DEVICE_RESET"));
  return {};
}

Result<std::vector<HotResetFunction>> LinuxKernel::hot_reset_info(int device) {
  constexpr const char* kName = "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO";
  using Header = vfio_pci_hot_reset_info;
  using Entry = vfio_pci_dependent_device;
  std::vector<std::byte> argument(sizeof(Header));
  for (;;) {
    auto* header = new (argument.data()) Header{};
    header->argsz = static_cast<uint32_t>(argument.size());
    const auto asked = kernel_call(device, VFIO_DEVICE_GET_PCI_HOT_RESET_INFO, header, kName);
    const uint32_t count = header->count;
    const uint32_t flags = header->flags;
    if (count > kMaxHotResetFunctions)
      return fail(EPROTO, kName, "the answer names too many functions");
    const size_t needed = sizeof(Header) + count * sizeof(Entry);
    // ENOSPC gives the number of functions. The number may grow until the next call, but not
    // forever.
    if (!asked && asked.error().code == ENOSPC && needed > argument.size()) {
      argument.resize(needed);
      continue;
    }
    if (!asked) return tl::unexpected(asked.error());
    if (needed > argument.size())
      return fail(EPROTO, kName, "the answer names more functions than the buffer holds");
    std::vector<HotResetFunction> functions;
    for (uint32_t i = 0; i < count; ++i) {
      Entry entry;
      std::memcpy(&entry, argument.data() + sizeof(Header) + i * sizeof(Entry), sizeof(Entry));
      HotResetFunction function{.bdf = {.segment = entry.segment,
                                        .bus = entry.bus,
                                        .device = static_cast<uint8_t>(entry.devfn >> 3),
                                        .function = static_cast<uint8_t>(entry.devfn & 7)}};
      // If the device was opened through its own node, this field is an id in place of a group.
      if ((flags & abi::kHotResetTellsIds) != 0) {
        function.owned = entry.group_id != abi::kHotResetNotOwned;
      } else {
        function.group = entry.group_id;
      }
      functions.push_back(function);
    }
    return functions;
  }
}

Result<void> LinuxKernel::hot_reset(int device, std::span<const int> groups) {
  std::vector<std::byte> argument(sizeof(vfio_pci_hot_reset) + groups.size_bytes());
  auto* reset = new (argument.data()) vfio_pci_hot_reset{};
  reset->argsz = static_cast<uint32_t>(argument.size());
  reset->count = static_cast<uint32_t>(groups.size());
  if (!groups.empty()) std::memcpy(reset->group_fds, groups.data(), groups.size_bytes());
  return kernel_call(device, VFIO_DEVICE_PCI_HOT_RESET, reset, "VFIO_DEVICE_PCI_HOT_RESET");
}

}  // namespace passthru
