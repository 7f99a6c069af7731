// SPDX-License-Identifier: MIT
// LinuxKernel: the ioctls of iommufd and of a device's own node. Each error has errno and the name
// of the request.
#include "vfio/iommufd_abi.h"
#include "vfio/kernel_call.h"
#include "vfio/linux_kernel.h"

namespace passthru {
namespace {

uint32_t access_flags(bool writable) {
  return abi::kFixedIova | abi::kReadable | (writable ? abi::kWriteable : 0);
}

}  // namespace

Result<uint32_t> LinuxKernel::bind_iommufd(int device, int iommufd) {
  abi::BindIommufd bind{.argsz = sizeof bind, .flags = 0, .iommufd = iommufd, .device_id = 0};
  PASSTHRU_TRY(kernel_call(device, abi::kBindIommufd, &bind, "VFIO_DEVICE_BIND_IOMMUFD"));
  return bind.device_id;
}

Result<void> LinuxKernel::attach_ioas(int device, uint32_t ioas) {
  abi::AttachIommufdPt attach{.argsz = sizeof attach, .flags = 0, .page_table = ioas};
  return kernel_call(device, abi::kAttachIommufdPt, &attach, "VFIO_DEVICE_ATTACH_IOMMUFD_PT");
}

Result<void> LinuxKernel::detach_ioas(int device) {
  abi::DetachIommufdPt detach{.argsz = sizeof detach, .flags = 0};
  return kernel_call(device, abi::kDetachIommufdPt, &detach, "VFIO_DEVICE_DETACH_IOMMUFD_PT");
}

Result<uint32_t> LinuxKernel::alloc_ioas(int iommufd) {
  abi::IoasAlloc alloc{.size = sizeof alloc, .flags = 0, .ioas = 0};
  PASSTHRU_TRY(kernel_call(iommufd, abi::kIoasAlloc, &alloc, "IOMMU_IOAS_ALLOC"));
  return alloc.ioas;
}

Result<void> LinuxKernel::destroy_ioas(int iommufd, uint32_t ioas) {
  abi::Destroy destroy{.size = sizeof destroy, .id = ioas};
  return kernel_call(iommufd, abi::kDestroy, &destroy, "IOMMU_DESTROY");
}

Result<void> LinuxKernel::map_ioas(int iommufd, uint32_t ioas, uint64_t iova,
                                   std::span<std::byte> memory, bool writable) {
  abi::IoasMap map{.size = sizeof map,
                   .flags = access_flags(writable),
                   .ioas = ioas,
                   .reserved = 0,
                   .address = reinterpret_cast<uintptr_t>(memory.data()),
                   .length = memory.size(),
                   .iova = iova};
  return kernel_call(iommufd, abi::kIoasMap, &map, "IOMMU_IOAS_MAP");
}

Result<void> LinuxKernel::map_ioas_file(int iommufd, uint32_t ioas, uint64_t iova,
                                        const FileRange& file, bool writable) {
  abi::IoasMapFile map{.size = sizeof map,
                       .flags = access_flags(writable),
                       .ioas = ioas,
                       .fd = file.fd,
                       .start = file.offset,
                       .length = file.size,
                       .iova = iova};
  return kernel_call(iommufd, abi::kIoasMapFile, &map, "IOMMU_IOAS_MAP_FILE");
}

Result<void> LinuxKernel::copy_ioas(int iommufd, const IoasRange& from, uint32_t to, uint64_t iova,
                                    bool writable) {
  abi::IoasCopy copy{.size = sizeof copy,
                     .flags = access_flags(writable),
                     .to = to,
                     .from = from.ioas,
                     .length = from.size,
                     .to_iova = iova,
                     .from_iova = from.iova};
  return kernel_call(iommufd, abi::kIoasCopy, &copy, "IOMMU_IOAS_COPY");
}

Result<void> LinuxKernel::unmap_ioas(int iommufd, const IoasRange& range) {
  abi::IoasUnmap unmap{
      .size = sizeof unmap, .ioas = range.ioas, .iova = range.iova, .length = range.size};
  PASSTHRU_TRY(kernel_call(iommufd, abi::kIoasUnmap, &unmap, "IOMMU_IOAS_UNMAP"));
  if (unmap.length != range.size) return fail(ENOENT, "IOMMU_IOAS_UNMAP");
  return {};
}

}  // namespace passthru
