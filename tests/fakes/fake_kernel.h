// SPDX-License-Identifier: MIT
// A host kernel for tests. Its groups, containers and devices behave as in Linux's VFIO. It records
// every call, and any call can be made to fail. tests/contract/kernel_contract.h checks it against
// the real kernel.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/mutex.h"
#include "tests/fakes/fake_device.h"
#include "tests/fakes/fake_hook.h"
#include "vfio/kernel.h"
#include "vfio/vf_token.h"

namespace passthru {

/// One recorded call. The name is the ioctl's ("VFIO_DEVICE_SET_IRQS"), or "open_container",
/// "open_group", "open_iommufd", "open_cdev", "pread", "pwrite", "mmap", "munmap", "eventfd",
/// "signal_eventfd", "drain_eventfd", "getrlimit".
struct FakeCall {
  std::string_view name;
  int fd = -1;         ///< container, group, device or eventfd
  uint32_t index = 0;  ///< group, region or irq number, IOMMU type or extension
  uint32_t start = 0;  ///< first vector
  uint32_t count = 0;  ///< vectors; 0 for a SET_IRQS that disables the index
  std::vector<int> eventfds{};
  uint64_t offset = 0;  ///< within the device's descriptor, or an IOVA
  uint64_t size = 0;
};

/// A fake kernel. Thread-safe. It must outlive its users.
///
///   FakeKernel kernel;
///   FakeDevice& nvme = kernel.add(FakeSpec::nvme());
///   DmaSpace dma(kernel);
///   auto device = VfioDevice::open(kernel, dma, nvme.spec().door());
///   kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 2);            // the second from now fails once
///   ... bind vectors ...
///   EXPECT_EQ(nvme.fire(3), Fired::Delivered);              // as the hardware does
///   nvme.backdoor_reset();                                  // the hardware loses its state
///   EXPECT_EQ(kernel.calls("VFIO_DEVICE_SET_IRQS").size(), 3U);
///   device->reset(); EXPECT_EQ(kernel.open_fds(), 0U);      // nothing leaked
class FakeKernel final : public Kernel {
 public:
  /// `page_size` is a multiple of the host's.
  explicit FakeKernel(uint64_t page_size = 4096) : page_size_(page_size) {}
  ~FakeKernel() override = default;

  // ---- set-up ----

  /// Adds a device, and its group if it is new. The reference is valid as long as the kernel.
  FakeDevice& add(FakeSpec spec);
  /// Without interrupt remapping, type1 refuses a group (EPERM) unless unsafe interrupts are
  /// allowed. Call it before add().
  void set_interrupt_remapping(bool present);
  /// Sets the module parameters allow_unsafe_interrupts of vfio_iommu_type1 and iommufd.
  void set_unsafe_interrupts_allowed(bool allowed);
  void set_group_viable(uint32_t group, bool viable);
  /// Sets RLIMIT_MEMLOCK in bytes. DMA mappings beyond it fail with ENOMEM.
  void set_locked_memory_limit(uint64_t bytes);
  /// Sets the ranges in which attached devices can use memory. The default excludes interrupt
  /// messages.
  void set_iova_ranges(std::vector<IovaRange> ranges);
  /// Sets whether this kernel maps files for DMA, as Linux does since 6.13. The default is false.
  void set_maps_files(bool maps_files);

  // ---- calls ----

  /// Makes the nth next call of this name (1: the next) fail once. "*" matches any name. A failed
  /// call has no effect, except for a SET_IRQS that binds vectors: as in the kernel, it unbinds
  /// them.
  void fail(std::string call, int code, unsigned nth = 1);
  /// Returns the calls so far in order: those of one name, or all.
  std::vector<FakeCall> calls(std::string_view name = "*") const;
  void forget_calls();

  /// Runs before and after each call on an open device or an eventfd. A SET_IRQS that disables an
  /// index has its own name, "disable VFIO_DEVICE_SET_IRQS".
  FakeHook hook{};
  /// Runs before and after each call that maps or unmaps memory for DMA, on any thread.
  FakeHook dma_hook{};

  std::string iomem{};  ///< the content of /proc/iomem

  // ---- leaks ----

  /// Counts open containers, iommufds, groups, devices and eventfds. A file counts once, however
  /// many descriptors it has.
  size_t open_fds();
  size_t mappings() const;  ///< of regions
  size_t dma_mappings();    ///< in all containers
  /// Returns whether all three counts are 0.
  bool nothing_leaked() { return open_fds() == 0 && mappings() == 0 && dma_mappings() == 0; }

  // ---- Kernel ----

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
  Result<std::string> memory_map() override { return iomem; }
  [[nodiscard]] uint64_t page_size() const override { return page_size_; }
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

 private:
  struct Container {
    bool iommu = false;
    std::set<uint32_t> groups{};
    std::map<uint64_t, uint64_t> dma{};  ///< size by IOVA
  };
  /// An iommufd: its address spaces by id, with their mappings and the number of devices using
  /// them.
  struct AddressSpace {
    std::map<uint64_t, uint64_t> dma{};  ///< size by IOVA
    unsigned devices = 0;
  };
  struct Iommufd {
    std::map<uint32_t, AddressSpace> spaces{};
    uint32_t next_id = 1;
  };
  struct Group {
    bool viable = true;
    std::shared_ptr<Container> container{};
  };
  /// What a device's own file is bound to.
  struct Cdev {
    std::shared_ptr<Iommufd> iommufd{};  ///< unset: not bound
    uint32_t space = 0;                  ///< the address space of the device; 0: not attached
  };
  /// An open file. It is one end of a pipe, so that closing its last descriptor shows at `peer`.
  struct Handle {
    Fd peer;
    std::shared_ptr<Container> container{};  ///< set: a container
    uint32_t group = 0;
    FakeDevice* device = nullptr;        ///< set: a device
    std::optional<Cdev> cdev{};          ///< set: a device that was opened through its own node
    std::shared_ptr<Iommufd> iommufd{};  ///< set: an iommufd

    /// Returns whether calls reach the device.
    [[nodiscard]] bool opens_device() const {
      return device != nullptr && (!cdev || cdev->iommufd);
    }
  };
  struct Failure {
    std::string call;
    int code;
    unsigned left;
  };

  /// Records a call. Returns an Error if the call must fail.
  Result<void> enter(FakeCall call) PASSTHRU_REQUIRES(kernel_mutex_);
  Result<Fd> hand_out(Handle handle) PASSTHRU_REQUIRES(kernel_mutex_);
  /// Returns the file of a descriptor: any that refers to it, as dup(2) and SCM_RIGHTS make them.
  Result<Handle*> find(int fd, const char* call) PASSTHRU_REQUIRES(kernel_mutex_);
  Result<std::shared_ptr<Container>> find_container(int fd, const char* call)
      PASSTHRU_REQUIRES(kernel_mutex_);
  Result<Group*> find_group(int fd, const char* call) PASSTHRU_REQUIRES(kernel_mutex_);
  // fake_iommufd.cc
  Result<std::shared_ptr<Iommufd>> find_iommufd(int fd, const char* call)
      PASSTHRU_REQUIRES(kernel_mutex_);
  Result<AddressSpace*> find_space(int fd, uint32_t ioas, const char* call)
      PASSTHRU_REQUIRES(kernel_mutex_);
  Result<Handle*> find_cdev(int fd, const char* call) PASSTHRU_REQUIRES(kernel_mutex_);
  Result<void> map_into(AddressSpace& space, uint64_t iova, uint64_t size, const char* call)
      PASSTHRU_REQUIRES(kernel_mutex_);
  /// Returns whether the device or another device of its group is bound to the iommufd.
  bool owns(const Iommufd* iommufd, const FakeDevice* device) const
      PASSTHRU_REQUIRES(kernel_mutex_);
  /// Returns whether all of [iova, iova + size), which does not wrap, is in one range.
  bool usable(uint64_t iova, uint64_t size) const PASSTHRU_REQUIRES(kernel_mutex_);
  bool cdev_bound(uint32_t group) const PASSTHRU_REQUIRES(kernel_mutex_);

  /// Records a call on a device. The caller then calls the device without the kernel's lock.
  std::vector<FakeDevice*> on_bus(uint8_t bus) const PASSTHRU_REQUIRES(kernel_mutex_);
  Result<FakeDevice*> enter_device(FakeCall call);
  /// Releases the files that were closed since the last call.
  void reap() PASSTHRU_REQUIRES(kernel_mutex_);
  Result<void> check_token(const FakeDevice& device, std::string_view option)
      PASSTHRU_REQUIRES(kernel_mutex_);
  bool group_open(uint32_t group) const PASSTHRU_REQUIRES(kernel_mutex_);
  Result<void> check_remapping(const char* call) const PASSTHRU_REQUIRES(kernel_mutex_);

  [[nodiscard]] size_t whole_pages(size_t size) const {
    return (size + page_size_ - 1) / page_size_ * page_size_;
  }

  static constexpr uint64_t kIommuPage = 4096;
  const uint64_t page_size_;  ///< of the CPU

  mutable Mutex kernel_mutex_;  ///< protects everything below
  std::vector<std::unique_ptr<FakeDevice>> devices_ PASSTHRU_GUARDED_BY(kernel_mutex_);
  std::map<uint32_t, Group> groups_ PASSTHRU_GUARDED_BY(kernel_mutex_);
  std::map<ino_t, Handle> handles_ PASSTHRU_GUARDED_BY(kernel_mutex_);  ///< keyed by pipe
  std::map<int, uint64_t> eventfds_
      PASSTHRU_GUARDED_BY(kernel_mutex_);  ///< the kernel's id, keyed by descriptor
  std::map<std::byte*, size_t> mapped_ PASSTHRU_GUARDED_BY(kernel_mutex_);
  std::map<Bdf, VfToken> tokens_
      PASSTHRU_GUARDED_BY(kernel_mutex_);  ///< keyed by physical function
  std::vector<Failure> failures_ PASSTHRU_GUARDED_BY(kernel_mutex_);
  std::vector<FakeCall> calls_ PASSTHRU_GUARDED_BY(kernel_mutex_);
  bool interrupt_remapping_ PASSTHRU_GUARDED_BY(kernel_mutex_) = true;
  bool unsafe_allowed_ PASSTHRU_GUARDED_BY(kernel_mutex_) = false;
  std::vector<IovaRange> iova_ranges_ PASSTHRU_GUARDED_BY(kernel_mutex_) = {
      {0, 0xfedf'ffff}, {0xfef0'0000, UINT64_MAX}};
  bool maps_files_ PASSTHRU_GUARDED_BY(kernel_mutex_) = false;
  uint64_t locked_limit_ PASSTHRU_GUARDED_BY(kernel_mutex_) = UINT64_MAX;
};

}  // namespace passthru
