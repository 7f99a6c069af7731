// SPDX-License-Identifier: MIT
// The calls into the Linux kernel: groups, containers and devices in linux_kernel.cc, iommufd in
// linux_kernel_iommufd.cc, ranges of IOVAs in linux_kernel_iova.cc, files and eventfds in
// linux_kernel_files.cc.
#pragma once

#include "vfio/kernel.h"

namespace passthru {

/// The running kernel, Linux 6.1 or later. Has no state.
class LinuxKernel final : public Kernel {
 public:
  Result<Fd> open_container() override;
  Result<Fd> open_group(uint32_t group) override;
  Result<int> api_version(int container) override;
  Result<bool> has_extension(int container, uint32_t extension) override;
  Result<GroupStatus> group_status(int group) override;
  Result<void> set_container(int group, int container) override;
  Result<void> unset_container(int group) override;
  Result<void> set_iommu(int container, uint32_t type) override;
  Result<Fd> open_device(int group, const std::string& name) override;
  Result<void> set_vf_token(int device, const VfToken& token) override;
  Result<Fd> open_iommufd() override;
  Result<Fd> open_cdev(const std::string& name) override;
  Result<uint32_t> bind_iommufd(int device, int iommufd) override;
  Result<void> attach_ioas(int device, uint32_t ioas) override;
  Result<void> detach_ioas(int device) override;
  Result<uint32_t> alloc_ioas(int iommufd) override;
  Result<void> destroy_ioas(int iommufd, uint32_t ioas) override;
  Result<void> map_ioas(int iommufd, uint32_t ioas, uint64_t iova, std::span<std::byte> memory,
                        bool writable) override;
  Result<std::vector<IovaRange>> ioas_iova_ranges(int iommufd, uint32_t ioas) override;
  Result<void> map_ioas_file(int iommufd, uint32_t ioas, uint64_t iova, const FileRange& file,
                             bool writable) override;
  Result<void> copy_ioas(int iommufd, const IoasRange& from, uint32_t to, uint64_t iova,
                         bool writable) override;
  Result<void> unmap_ioas(int iommufd, const IoasRange& range) override;
  Result<std::string> device_number(int fd) override;
  Result<bool> unsafe_interrupts_allowed(Backend backend) override;
  Result<uint64_t> locked_memory_limit() override;
  Result<std::string> memory_map() override;
  [[nodiscard]] uint64_t page_size() const override;

  Result<void> map_dma(int container, uint64_t iova, std::span<std::byte> memory,
                       bool writable) override;
  Result<void> unmap_dma(int container, uint64_t iova, uint64_t size) override;
  Result<std::vector<IovaRange>> container_iova_ranges(int container) override;

  Result<DeviceInfo> device_info(int device) override;
  Result<RegionInfo> region_info(int device, Region region) override;
  Result<IrqInfo> irq_info(int device, Irq irq) override;
  Result<void> bind_irqs(int device, const IrqTrigger& trigger) override;
  Result<void> disable_irqs(int device, Irq irq) override;
  Result<void> act_on_irqs(int device, Irq irq, IrqAction action, uint32_t start,
                           uint32_t count) override;
  Result<void> bind_unmask_eventfd(int device, Irq irq, int eventfd) override;
  Result<void> reset_device(int device) override;
  Result<std::vector<HotResetFunction>> hot_reset_info(int device) override;
  Result<void> hot_reset(int device, std::span<const int> groups) override;
  Result<void> read_region(int device, uint64_t fd_offset, std::span<std::byte> data) override;
  Result<void> write_region(int device, uint64_t fd_offset,
                            std::span<const std::byte> data) override;
  Result<Mapped> map_region(int device, uint64_t fd_offset, size_t size, bool writable) override;
  void unmap_region(Mapped mapped) override;

  Result<Fd> make_eventfd() override;
  Result<void> signal_eventfd(int eventfd) override;
  Result<uint64_t> drain_eventfd(int eventfd) override;
  Result<std::vector<size_t>> signalled_eventfds(std::span<const int> eventfds) override;
};

}  // namespace passthru
