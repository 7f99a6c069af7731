// SPDX-License-Identifier: MIT
// The interface between Passthru and the host kernel: typed calls without policy or state.
// `LinuxKernel` makes the calls; tests use a `FakeKernel`.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "pci/bdf.h"

namespace passthru {

/// Indices of the PCI regions of a VFIO device (linux/vfio.h, VFIO_PCI_*_REGION_INDEX).
enum class Region : uint32_t { Bar0, Bar1, Bar2, Bar3, Bar4, Bar5, Rom, Config, Vga };

/// Indices of the PCI interrupts of a VFIO device (linux/vfio.h, VFIO_PCI_*_IRQ_INDEX).
enum class Irq : uint32_t { Intx, Msi, Msix, Error, Request };

struct DeviceInfo {
  bool is_pci = false;
  bool resettable = false;  ///< VFIO_DEVICE_RESET is worth trying
  uint32_t region_count = 0;
  uint32_t irq_count = 0;
};

/// A range of a region that may be mapped.
struct MapArea {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool operator==(const MapArea&) const = default;
};

struct RegionInfo {
  uint64_t size = 0;       ///< bytes; 0: the region does not exist
  uint64_t fd_offset = 0;  ///< its offset in the device's descriptor
  bool readable = false;
  bool writable = false;
  bool mappable = false;
  bool msix_mappable = false;     ///< the page of the MSI-X table may be mapped too
  std::vector<MapArea> sparse{};  ///< if not empty: map exactly these ranges
};

struct IrqInfo {
  uint32_t count = 0;
  bool eventfd = false;
  bool maskable = false;
  bool automasked = false;
  bool noresize = false;  ///< vectors can only be added by disabling the index first
};

struct GroupStatus {
  bool viable = false;
  bool container_set = false;
};

/// The eventfds to bind with VFIO_DEVICE_SET_IRQS; -1 keeps the vector and frees its handler.
struct IrqTrigger {
  Irq index = Irq::Msix;
  uint32_t start = 0;
  std::span<const int> eventfds{};  ///< one for each vector from `start` on
};

/// A function that a hot reset of a device resets, possibly the device itself.
struct HotResetFunction {
  Bdf bdf{};
  uint32_t group = 0;  ///< if the device was opened through its group
  /// Set if the device was opened through its own node: whether the function is bound to the same
  /// iommufd.
  std::optional<bool> owned{};
  bool operator==(const HotResetFunction&) const = default;
};

/// A range of an IOAS (an address space of an iommufd) with one or more mappings. Bytes, page
/// aligned.
struct IoasRange {
  uint32_t ioas = 0;
  uint64_t iova = 0;
  uint64_t size = 0;
};

/// A range of addresses that a device can use for DMA, the last address included.
struct IovaRange {
  uint64_t first = 0;
  uint64_t last = 0;
  bool operator==(const IovaRange&) const = default;
};

/// A part of a file. Bytes, page aligned.
struct FileRange {
  int fd = -1;
  uint64_t offset = 0;
  uint64_t size = 0;
};

/// The two interfaces of VFIO: /dev/vfio/GROUP with a container, or /dev/vfio/devices/vfioN with an
/// iommufd.
enum class Backend { Group, Cdev };

enum class IrqAction : uint32_t { Mask, Unmask, Trigger };

/// The addresses that a mapping of a region occupies in this process.
struct Mapped {
  std::byte* address = nullptr;
  size_t size = 0;
};

class VfToken;

/// The calls into the kernel that assigning a device needs. All calls are thread-safe. An Error has
/// the kernel's errno, and its operation names the system call. No call retries or logs.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // Containers and groups (type1v2).
  virtual Result<Fd> open_container() = 0;
  virtual Result<Fd> open_group(uint32_t group) = 0;
  virtual Result<int> api_version(int container) = 0;
  /// Returns whether the container offers the IOMMU type or extension (VFIO_CHECK_EXTENSION).
  virtual Result<bool> has_extension(int container, uint32_t extension) = 0;
  virtual Result<GroupStatus> group_status(int group) = 0;
  virtual Result<void> set_container(int group, int container) = 0;
  virtual Result<void> unset_container(int group) = 0;
  virtual Result<void> set_iommu(int container, uint32_t type) = 0;
  /// Opens a device of a group. `name` comes from `device_name` (an address, and a VF token if
  /// any).
  ///
  /// Errors:
  /// - ENODEV: the device is not in the group.
  /// - EACCES: the token is missing or wrong.
  /// - EINVAL: a token does not apply to this device.
  virtual Result<Fd> open_device(int group, const std::string& name) = 0;
  /// Sets the VF token of an opened physical function.
  ///
  /// Errors:
  /// - ENOTTY: the device is not a physical function.
  virtual Result<void> set_vf_token(int device, const VfToken& token) = 0;

  // iommufd, and devices by their own nodes (since Linux 6.6).
  virtual Result<Fd> open_iommufd() = 0;
  /// Opens /dev/vfio/devices/NAME. Until the device is bound to an iommufd, every other call fails
  /// with EINVAL.
  virtual Result<Fd> open_cdev(const std::string& name) = 0;
  /// Binds the device to the iommufd; the kernel resets it. Returns its id in the iommufd.
  ///
  /// Errors:
  /// - EINVAL: the device is bound already, or its IOMMU is not cache-coherent.
  /// - EBUSY: its group is open or has another owner.
  /// - EBADF, EBADFD: `iommufd` is not an iommufd.
  /// - EPERM: no interrupt remapping.
  /// - EACCES: the VF token is missing (since Linux 6.17).
  virtual Result<uint32_t> bind_iommufd(int device, int iommufd) = 0;
  /// Directs the device's DMA to the IOAS.
  ///
  /// Errors:
  /// - ENOENT: the IOAS does not exist.
  virtual Result<void> attach_ioas(int device, uint32_t ioas) = 0;
  /// Blocks the device's DMA.
  virtual Result<void> detach_ioas(int device) = 0;
  virtual Result<uint32_t> alloc_ioas(int iommufd) = 0;
  /// Destroys the IOAS with all its mappings.
  ///
  /// Errors:
  /// - EBUSY: a device is attached to it.
  virtual Result<void> destroy_ioas(int iommufd, uint32_t ioas) = 0;
  virtual Result<void> map_ioas(int iommufd, uint32_t ioas, uint64_t iova,
                                std::span<std::byte> memory, bool writable) = 0;
  /// Returns the ranges in which memory can be mapped, ascending. The devices that are attached
  /// determine them.
  virtual Result<std::vector<IovaRange>> ioas_iova_ranges(int iommufd, uint32_t ioas) = 0;
  /// Maps memory of a file, which this process need not have mapped. Since Linux 6.13.
  ///
  /// Errors:
  /// - ENOTTY: the kernel is older.
  /// - EINVAL: the file is not a memfd, on tmpfs or on hugetlbfs.
  /// - EBADF: the descriptor is not open.
  virtual Result<void> map_ioas_file(int iommufd, uint32_t ioas, uint64_t iova,
                                     const FileRange& file, bool writable) = 0;
  /// Maps the memory of a whole mapping of an IOAS in another IOAS too, at `iova`. The memory is
  /// pinned once.
  virtual Result<void> copy_ioas(int iommufd, const IoasRange& from, uint32_t to, uint64_t iova,
                                 bool writable) = 0;
  /// Unmaps whole mappings; a mapping is never split.
  ///
  /// Errors:
  /// - ENOENT: the mapping does not exist.
  virtual Result<void> unmap_ioas(int iommufd, const IoasRange& range) = 0;
  /// Returns the number of the character device behind a descriptor, "MAJOR:MINOR".
  ///
  /// Errors:
  /// - EINVAL: not a character device.
  virtual Result<std::string> device_number(int fd) = 0;

  /// Returns whether type1 or iommufd attaches devices without interrupt remapping (its module
  /// parameter allow_unsafe_interrupts). If not, an attached device proves interrupt remapping.
  virtual Result<bool> unsafe_interrupts_allowed(Backend backend) = 0;
  /// Returns RLIMIT_MEMLOCK of this process in bytes; UINT64_MAX: no limit.
  virtual Result<uint64_t> locked_memory_limit() = 0;
  /// Returns the host's map of its memory, /proc/iomem. A process without privileges sees no
  /// addresses there.
  virtual Result<std::string> memory_map() = 0;
  /// Returns the size of a page in bytes.
  [[nodiscard]] virtual uint64_t page_size() const = 0;

  // DMA mappings of a container. Addresses and sizes in bytes, page aligned.
  virtual Result<void> map_dma(int container, uint64_t iova, std::span<std::byte> memory,
                               bool writable) = 0;
  /// Unmaps a whole mapping.
  ///
  /// Errors:
  /// - ENOENT: the mapping does not exist.
  virtual Result<void> unmap_dma(int container, uint64_t iova, uint64_t size) = 0;

  /// Returns the ranges in which memory can be mapped, ascending. The groups that are attached
  /// determine them.
  ///
  /// Errors:
  /// - EINVAL: no group is attached.
  virtual Result<std::vector<IovaRange>> container_iova_ranges(int container) = 0;

  // A device.
  virtual Result<DeviceInfo> device_info(int device) = 0;
  /// Returns the info of a region. Repeats the call with a larger argsz if the capability chain
  /// needs it.
  virtual Result<RegionInfo> region_info(int device, Region region) = 0;
  virtual Result<IrqInfo> irq_info(int device, Irq irq) = 0;
  /// Binds eventfds. On an error no vector is enabled.
  ///
  /// Errors:
  /// - ENOSPC with an `index`: the kernel has only `index` vectors (it returned a positive number).
  /// - ENOSPC without an `index`: no vector is left to add.
  virtual Result<void> bind_irqs(int device, const IrqTrigger& trigger) = 0;
  /// Disables a whole interrupt index (count 0, DATA_NONE).
  virtual Result<void> disable_irqs(int device, Irq irq) = 0;
  /// Masks, unmasks, or triggers by software, `count` vectors from `start` on. A trigger signals
  /// the bound eventfd.
  virtual Result<void> act_on_irqs(int device, Irq irq, IrqAction action, uint32_t start,
                                   uint32_t count) = 0;
  virtual Result<void> bind_unmask_eventfd(int device, Irq irq, int eventfd) = 0;
  /// Resets the device by its own reset.
  ///
  /// Errors:
  /// - EINVAL, ENOTTY: it has no reset of its own.
  /// - EAGAIN: the kernel holds the device's lock.
  virtual Result<void> reset_device(int device) = 0;
  /// Returns the functions that a reset of the device's slot or bus resets.
  ///
  /// Errors:
  /// - ENODEV: neither slot nor bus can be reset.
  virtual Result<std::vector<HotResetFunction>> hot_reset_info(int device) = 0;
  /// Resets the slot or bus. `groups` prove the ownership of all functions. Leave them empty for a
  /// device that was opened through its own node: its iommufd proves it.
  ///
  /// Errors:
  /// - EINVAL: a group is missing, or a function there is not on VFIO.
  /// - EAGAIN: the kernel holds the lock of a device there.
  /// - EBUSY: a device there is being accessed.
  virtual Result<void> hot_reset(int device, std::span<const int> groups) = 0;
  /// Read or write a region through the device's descriptor.
  ///
  /// Errors:
  /// - EIO: a short transfer.
  virtual Result<void> read_region(int device, uint64_t fd_offset, std::span<std::byte> data) = 0;
  virtual Result<void> write_region(int device, uint64_t fd_offset,
                                    std::span<const std::byte> data) = 0;
  /// Maps a part of a region, if possible so that the kernel can use huge pages: from 2 MiB on, the
  /// address agrees with `fd_offset` modulo 2 MiB; from 1 GiB on, modulo 1 GiB.
  virtual Result<Mapped> map_region(int device, uint64_t fd_offset, size_t size, bool writable) = 0;
  virtual void unmap_region(Mapped mapped) = 0;

  // Event descriptors, nonblocking and close-on-exec.
  virtual Result<Fd> make_eventfd() = 0;
  /// Adds 1 to the counter, as the kernel does when the interrupt fires.
  virtual Result<void> signal_eventfd(int eventfd) = 0;
  /// Takes the counter: the number of signals since the last call.
  virtual Result<uint64_t> drain_eventfd(int eventfd) = 0;
  /// Returns the indices of the eventfds whose counter is not 0. Takes no counter.
  virtual Result<std::vector<size_t>> signalled_eventfds(std::span<const int> eventfds) = 0;
};

}  // namespace passthru
