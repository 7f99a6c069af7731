// SPDX-License-Identifier: MIT
// Owns the one seam between Passthru and the host kernel: typed calls, no policy, no state.
// `LinuxKernel` makes them, by the one ioctl of kernel_call.cc; tests put a `FakeKernel` there.
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

/// One range of a region that may be mapped.
struct MapArea {
  uint64_t offset = 0;
  uint64_t size = 0;
  bool operator==(const MapArea&) const = default;
};

struct RegionInfo {
  uint64_t size = 0;       ///< bytes; 0: the region does not exist
  uint64_t fd_offset = 0;  ///< where it starts in the device's descriptor
  bool readable = false;
  bool writable = false;
  bool mappable = false;
  bool msix_mappable = false;     ///< the page of the MSI-X table may be mapped too
  std::vector<MapArea> sparse{};  ///< where not empty: map these and nothing else, exactly
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

/// VFIO_DEVICE_SET_IRQS. `Trigger` with descriptors binds them (-1: keep the vector, free its
/// handler).
struct IrqTrigger {
  Irq index = Irq::Msix;
  uint32_t start = 0;
  std::span<const int> eventfds{};  ///< one for each vector from `start` on; -1 frees the handler
};

/// A function that a hot reset of a device resets with it, or the device itself.
struct HotResetFunction {
  Bdf bdf{};
  uint32_t group = 0;  ///< of a device that was opened by its group
  /// Of one that was opened by its own node: whether the function is in the same iommufd's hands.
  std::optional<bool> owned{};
  bool operator==(const HotResetFunction&) const = default;
};

/// A mapping, or several, in an IOAS (an address space of an iommufd). Bytes, page aligned.
struct IoasRange {
  uint32_t ioas = 0;
  uint64_t iova = 0;
  uint64_t size = 0;
};

/// The two doors of VFIO: /dev/vfio/GROUP with a container, or /dev/vfio/devices/vfioN with an
/// iommufd.
enum class Backend { Group, Cdev };

enum class IrqAction : uint32_t { Mask, Unmask, Trigger };

/// Address range that a mapping of a region occupies in this process.
struct Mapped {
  std::byte* address = nullptr;
  size_t size = 0;
};

class VfToken;

/// Every call into the kernel that assigning a device needs. All calls are thread-safe and return
/// the kernel's errno in an Error whose operation names the system call; none retries, none logs.
class Kernel {
 public:
  virtual ~Kernel() = default;

  // Containers and groups (type1v2).
  virtual Result<Fd> open_container() = 0;
  virtual Result<Fd> open_group(uint32_t group) = 0;
  virtual Result<int> api_version(int container) = 0;
  /// Whether the container offers the IOMMU type or extension (VFIO_CHECK_EXTENSION).
  virtual Result<bool> has_extension(int container, uint32_t extension) = 0;
  virtual Result<GroupStatus> group_status(int group) = 0;
  virtual Result<void> set_container(int group, int container) = 0;
  virtual Result<void> unset_container(int group) = 0;
  virtual Result<void> set_iommu(int container, uint32_t type) = 0;
  /// `name`: what `device_name` makes of an address and a VF token. ENODEV: not in the group;
  /// EACCES: not the right token; EINVAL: one that is of no use.
  virtual Result<Fd> open_device(int group, const std::string& name) = 0;
  /// The token of an opened physical function. ENOTTY: it is none.
  virtual Result<void> set_vf_token(int device, const VfToken& token) = 0;

  // iommufd, and devices by their own nodes (since Linux 6.6).
  virtual Result<Fd> open_iommufd() = 0;
  /// Opens /dev/vfio/devices/NAME. Until it is bound to an iommufd, every other call is EINVAL.
  virtual Result<Fd> open_cdev(const std::string& name) = 0;
  /// Gives the device to the iommufd; the kernel resets it. Returns its id there. EINVAL: it is
  /// bound, or its IOMMU not cache-coherent; EBUSY: its group is open, or in other hands; EBADF,
  /// EBADFD: `iommufd` is none; EPERM: no interrupt remapping; EACCES: VF token (since Linux 6.17).
  virtual Result<uint32_t> bind_iommufd(int device, int iommufd) = 0;
  /// From now on its DMA goes where the IOAS says. ENOENT: there is no such one.
  virtual Result<void> attach_ioas(int device, uint32_t ioas) = 0;
  /// From now on its DMA goes nowhere.
  virtual Result<void> detach_ioas(int device) = 0;
  virtual Result<uint32_t> alloc_ioas(int iommufd) = 0;
  /// With all its mappings. EBUSY: a device is attached to it.
  virtual Result<void> destroy_ioas(int iommufd, uint32_t ioas) = 0;
  virtual Result<void> map_ioas(int iommufd, uint32_t ioas, uint64_t iova,
                                std::span<std::byte> memory, bool writable) = 0;
  /// Maps the memory of a whole mapping of one IOAS in another one, at `iova`; it is pinned once.
  virtual Result<void> copy_ioas(int iommufd, const IoasRange& from, uint32_t to, uint64_t iova,
                                 bool writable) = 0;
  /// ENOENT where there was no such mapping; none is ever split.
  virtual Result<void> unmap_ioas(int iommufd, const IoasRange& range) = 0;
  /// The number of the character device behind a descriptor, "MAJOR:MINOR". EINVAL: it is none.
  virtual Result<std::string> device_number(int fd) = 0;

  /// Whether type1, or iommufd, was told to attach devices without interrupt remapping (its module
  /// parameter allow_unsafe_interrupts). While it was not, an attached one is proof of interrupt
  /// remapping.
  virtual Result<bool> unsafe_interrupts_allowed(Backend backend) = 0;
  /// RLIMIT_MEMLOCK of this process, bytes; UINT64_MAX where there is none.
  virtual Result<uint64_t> locked_memory_limit() = 0;

  // DMA mappings of a container. Addresses and sizes in bytes, page aligned.
  virtual Result<void> map_dma(int container, uint64_t iova, std::span<std::byte> memory,
                               bool writable) = 0;
  /// ENOENT where there was no such mapping.
  virtual Result<void> unmap_dma(int container, uint64_t iova, uint64_t size) = 0;
  /// Begins to log what devices may write to, or ends it (since Linux 5.8). Twice is no error.
  virtual Result<void> log_dirty_pages(int container, bool on) = 0;
  /// What of a range devices may have written to since they were asked last: a bit of `bitmap` for
  /// each page, the lowest first. `bitmap` has a bit for each page, all of them clear. EINVAL:
  /// there is no log, or the range cuts a mapping.
  virtual Result<void> dirty_pages(int container, uint64_t iova, uint64_t size,
                                   std::span<uint64_t> bitmap) = 0;

  // A device.
  virtual Result<DeviceInfo> device_info(int device) = 0;
  /// Asks again with a larger argsz where the capability chain needs it.
  virtual Result<RegionInfo> region_info(int device, Region region) = 0;
  virtual Result<IrqInfo> irq_info(int device, Irq irq) = 0;
  /// Binds eventfds. A positive return (fewer vectors than are to be enabled) is ENOSPC, whose
  /// `index` is how many there are; nothing is enabled then. None left to add: ENOSPC without it.
  virtual Result<void> bind_irqs(int device, const IrqTrigger& trigger) = 0;
  /// Disables a whole interrupt index (count 0, DATA_NONE).
  virtual Result<void> disable_irqs(int device, Irq irq) = 0;
  /// Mask, unmask, or signal the bound eventfd by software, of `count` vectors from `start` on.
  virtual Result<void> act_on_irqs(int device, Irq irq, IrqAction action, uint32_t start,
                                   uint32_t count) = 0;
  virtual Result<void> bind_unmask_eventfd(int device, Irq irq, int eventfd) = 0;
  virtual Result<void> reset_device(int device) = 0;
  /// What a reset of the device's slot, or of its bus, resets. ENODEV: neither can be reset.
  virtual Result<std::vector<HotResetFunction>> hot_reset_info(int device) = 0;
  /// Does it. `groups` prove the ownership of all that is reset; EINVAL: one is missing. None for a
  /// device that was opened by its own node: its iommufd proves it.
  virtual Result<void> hot_reset(int device, std::span<const int> groups) = 0;
  /// Reads or writes a region through the device's descriptor; a short transfer is EIO.
  virtual Result<void> read_region(int device, uint64_t fd_offset, std::span<std::byte> data) = 0;
  virtual Result<void> write_region(int device, uint64_t fd_offset,
                                    std::span<const std::byte> data) = 0;
  virtual Result<Mapped> map_region(int device, uint64_t fd_offset, size_t size, bool writable) = 0;
  virtual void unmap_region(Mapped mapped) = 0;

  // Event descriptors, nonblocking and close-on-exec.
  virtual Result<Fd> make_eventfd() = 0;
  /// Adds one to the counter: what the kernel does when the interrupt fires.
  virtual Result<void> signal_eventfd(int eventfd) = 0;
  /// Takes the counter: how often it was signalled since it was last taken; 0 if not at all.
  virtual Result<uint64_t> drain_eventfd(int eventfd) = 0;
  /// Which of them have a counter that is not 0, by their places. Takes nothing.
  virtual Result<std::vector<size_t>> signalled_eventfds(std::span<const int> eventfds) = 0;
};

}  // namespace passthru
