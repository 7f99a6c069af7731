// SPDX-License-Identifier: MIT
// An access beyond a region or an interrupt index never reaches the kernel.
#include "vfio/device.h"

#include <linux/pci_regs.h>

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <utility>

#include "vfio/attach_advice.h"
#include "vfio/attach_facts.h"

namespace passthru {
namespace {

std::string to_string(Region region) {
  switch (region) {
    case Region::Rom:
      return "ROM";
    case Region::Config:
      return "config";
    case Region::Vga:
      return "VGA";
    default:
      return fmt::format("BAR{}", static_cast<uint32_t>(region));
  }
}

/// Names the device, and the region if any, in an error of the kernel.
template <class T>
Result<T> of(const Bdf& bdf, Result<T> result) {
  if (!result) result.error().device = bdf.str();
  return result;
}
template <class T>
Result<T> of(const Bdf& bdf, Region region, Result<T> result) {
  if (!result) result.error().operation += " " + to_string(region);
  return of(bdf, std::move(result));
}

AttachFactsReader facts_of(const Sysfs* sysfs, uint32_t group) {
  if (sysfs == nullptr) return {};
  return [sysfs, group] { return attach_facts(*sysfs, group); };
}

/// Turns EINVAL into an empty info: the device lacks this region or interrupt, not the others.
template <class T>
Result<T> or_absent(Result<T> info) {
  if (!info && info.error().code == EINVAL) return T{};
  return info;
}

}  // namespace

MappedRegion::MappedRegion(std::shared_ptr<VfioDevice> device, Mapped mapped)
    : device_(std::move(device)), mapped_(mapped) {}

MappedRegion::MappedRegion(MappedRegion&& other) noexcept
    : device_(std::move(other.device_)), mapped_(std::exchange(other.mapped_, {})) {}

MappedRegion& MappedRegion::operator=(MappedRegion&& other) noexcept {
  std::swap(device_, other.device_);
  std::swap(mapped_, other.mapped_);
  return *this;
}

MappedRegion::~MappedRegion() {
  if (mapped_.address != nullptr) device_->kernel_.unmap_region(mapped_);
}

VfioDevice::VfioDevice(Kernel& kernel, DmaSpace& dma, const DeviceHandle& door)
    : kernel_(kernel),
      dma_(dma),
      group_(door.group),
      bdf_(door.bdf),
      backend_(door.backend),
      use_rom_(door.use_rom),
      max_vectors_(door.max_vectors),
      attachment_(door.attachment) {}

Result<std::shared_ptr<VfioDevice>> VfioDevice::open(Kernel& kernel, DmaSpace& dma,
                                                     DeviceHandle door,
                                                     bool allow_unsafe_interrupts,
                                                     const Sysfs* sysfs) {
  const Bdf bdf = door.bdf;
  std::shared_ptr<VfioDevice> device(new VfioDevice(kernel, dma, door));
  PASSTHRU_TRY(of(bdf, device->open_fd(std::move(door), allow_unsafe_interrupts, sysfs)));
  PASSTHRU_TRY(of(bdf, device->read_infos()));
  if (sysfs != nullptr) device->identity_ = PASSTHRU_TRY(DeviceIdentity::remember(*sysfs, bdf));
  return device;
}

VfioDevice::~VfioDevice() {
  if (!attached_) return;
  if (backend_ == Backend::Cdev) {
    dma_.detach_cdev(std::move(fd_), attachment_);
  } else {
    fd_.reset();
    dma_.detach_group(group_, attachment_);
  }
}

DeviceDescriptors VfioDevice::descriptors() const {
  return {.backend = backend_,
          .device = fd_.get(),
          .group = backend_ == Backend::Group ? dma_.group_fd(group_) : -1,
          .iommu = dma_.iommu_fd(backend_)};
}

Result<void> VfioDevice::open_fd(DeviceHandle door, bool allow_unsafe_interrupts,
                                 const Sysfs* sysfs) {
  const std::optional<VfToken> token = door.vf_token;
  if (backend_ == Backend::Cdev) {
    PASSTHRU_TRY(open_by_node(std::move(door), allow_unsafe_interrupts, sysfs));
  } else {
    PASSTHRU_TRY(open_by_group(std::move(door), allow_unsafe_interrupts, sysfs));
  }
  if (!token) return {};
  // Opening through the group has set the token already. ENOTTY: the device is a virtual function.
  auto set = kernel_.set_vf_token(fd_.get(), *token);
  if (!set && set.error().code != ENOTTY) return set;
  return {};
}

Result<void> VfioDevice::open_by_group(DeviceHandle door, bool allow_unsafe_interrupts,
                                       const Sysfs* sysfs) {
  const int group =
      PASSTHRU_TRY(dma_.attach_group(group_, allow_unsafe_interrupts, std::move(door.given),
                                     door.attachment, facts_of(sysfs, group_)));
  attached_ = true;
  auto opened = kernel_.open_device(group, device_name(bdf_, door.vf_token));
  if (!opened && opened.error().code == ENODEV) {
    return tl::unexpected(
        std::move(opened)
            .error()
            .because(fmt::format("it is not bound to vfio-pci, or not in group {}", group_))
            .advise(fmt::format("Bind it: 'passthru bind {}'", bdf_.str())));
  }
  if (!opened && sysfs != nullptr) {
    return tl::unexpected(explain_vf_token(
        std::move(opened).error(), PASSTHRU_TRY(sysfs->function(bdf_)), door.vf_token.has_value()));
  }
  fd_ = PASSTHRU_TRY(std::move(opened));
  return {};
}

Result<void> VfioDevice::open_by_node(DeviceHandle door, bool allow_unsafe_interrupts,
                                      const Sysfs* sysfs) {
  Fd node = std::move(door.given);
  if (!node) {
    auto opened = kernel_.open_cdev(door.cdev);
    if (!opened) return tl::unexpected(explain_cdev(std::move(opened).error(), door.cdev));
    node = std::move(*opened);
  }
  auto bound = dma_.attach_cdev(std::move(node), allow_unsafe_interrupts, door.attachment,
                                facts_of(sysfs, group_));
  // Since Linux 6.17 the bind needs the VF token. Passthru does not pass one there.
  if (!bound && bound.error().code == EACCES && sysfs != nullptr &&
      bound.error().operation == "VFIO_DEVICE_BIND_IOMMUFD") {
    Error error = explain_vf_token(std::move(bound).error(), PASSTHRU_TRY(sysfs->function(bdf_)),
                                   /*given=*/false);
    error.advice += ". Passthru presents a token only through the group: --backend=group";
    return tl::unexpected(std::move(error));
  }
  fd_ = PASSTHRU_TRY(std::move(bound));
  attached_ = true;
  return {};
}

Result<void> VfioDevice::read_infos() {
  info_ = PASSTHRU_TRY(kernel_.device_info(fd_.get()));
  if (!info_.is_pci) return fail(ENODEV, "VFIO_DEVICE_GET_INFO", "it is not a PCI device");
  for (uint32_t index = 0; index < kRegions && index < info_.region_count; ++index) {
    const auto region = static_cast<Region>(index);
    if (region == Region::Rom && !use_rom_) continue;
    regions_[index] = PASSTHRU_TRY(or_absent(kernel_.region_info(fd_.get(), region)));
  }
  for (uint32_t index = 0; index < kIrqs && index < info_.irq_count; ++index) {
    irqs_[index] = PASSTHRU_TRY(or_absent(kernel_.irq_info(fd_.get(), static_cast<Irq>(index))));
  }
  limit_vectors();
  return {};
}

void VfioDevice::limit_vectors() {
  if (max_vectors_ == 0) return;
  uint32_t& msix = irqs_[static_cast<size_t>(Irq::Msix)].count;
  uint32_t& msi = irqs_[static_cast<size_t>(Irq::Msi)].count;
  msix = std::min(msix, max_vectors_);
  msi = std::min(msi, std::bit_floor(max_vectors_));
}

const RegionInfo& VfioDevice::region(Region region) const {
  return regions_[static_cast<size_t>(region)];
}

const IrqInfo& VfioDevice::irq(Irq irq) const {
  return irqs_[static_cast<size_t>(irq)];
}

namespace {

/// Returns whether [offset, offset + size) lies within `end` bytes.
bool within(uint64_t offset, uint64_t size, uint64_t end) {
  return offset <= end && size <= end - offset;
}

Result<void> beyond(const char* operation, uint64_t offset, uint64_t size, uint64_t end) {
  return fail(
      EINVAL, operation,
      fmt::format("the range [{:#x}, +{:#x}) is not within {:#x} bytes", offset, size, end));
}

}  // namespace

Result<void> VfioDevice::read(Region region, uint64_t offset, std::span<std::byte> data) {
  const RegionInfo& info = this->region(region);
  if (!within(offset, data.size(), info.size)) {
    return of(bdf_, region, beyond("pread", offset, data.size(), info.size));
  }
  return of(bdf_, region, kernel_.read_region(fd_.get(), info.fd_offset + offset, data));
}

Result<void> VfioDevice::write(Region region, uint64_t offset, std::span<const std::byte> data) {
  const RegionInfo& info = this->region(region);
  if (!within(offset, data.size(), info.size)) {
    return of(bdf_, region, beyond("pwrite", offset, data.size(), info.size));
  }
  if (region != Region::Config || offset >= PCI_COMMAND + 2 ||
      offset + data.size() <= PCI_COMMAND) {
    return put(region, offset, data);
  }
  MutexLock lock(command_mutex_);
  PASSTHRU_TRY(put(region, offset, data));
  if (offset <= PCI_COMMAND) {
    const std::byte low = data[PCI_COMMAND - offset];
    bus_master_ = (low & std::byte{PCI_COMMAND_MASTER}) != std::byte{0};
  }
  return {};
}

Result<void> VfioDevice::put(Region region, uint64_t offset, std::span<const std::byte> data) {
  return of(bdf_, region,
            kernel_.write_region(fd_.get(), this->region(region).fd_offset + offset, data));
}

// A reset turns the three bits off. The I/O decode bit may be hardwired to 0.
Result<void> VfioDevice::turn_decode_on() {
  MutexLock lock(command_mutex_);
  uint16_t command = 0;
  PASSTHRU_TRY(read(Region::Config, PCI_COMMAND, std::as_writable_bytes(std::span{&command, 1})));
  const auto needed =
      static_cast<uint16_t>(PCI_COMMAND_MEMORY | (bus_master_ ? PCI_COMMAND_MASTER : 0));
  if ((command & needed) == needed) return {};
  command |= needed | PCI_COMMAND_IO;
  return put(Region::Config, PCI_COMMAND, std::as_bytes(std::span{&command, 1}));
}

void VfioDevice::adopt_bus_mastering() {
  MutexLock lock(command_mutex_);
  uint16_t command = 0;
  const auto done =
      read(Region::Config, PCI_COMMAND, std::as_writable_bytes(std::span{&command, 1}));
  if (!done || command == UINT16_MAX) return;
  bus_master_ = (command & PCI_COMMAND_MASTER) != 0;
}

Result<MappedRegion> VfioDevice::map(Region region, uint64_t offset, uint64_t size) {
  const RegionInfo& info = this->region(region);
  const uint64_t page = page_size();
  const uint64_t end =
      info.size > UINT64_MAX - page ? info.size : (info.size + page - 1) / page * page;
  if (size == 0 || !within(offset, size, end)) {
    PASSTHRU_TRY(of(bdf_, region, beyond("mmap", offset, size, end)));
  }
  const Mapped mapped = PASSTHRU_TRY(of(
      bdf_, region, kernel_.map_region(fd_.get(), info.fd_offset + offset, size, info.writable)));
  return MappedRegion(shared_from_this(), mapped);
}

Result<void> VfioDevice::check(Irq irq, uint32_t start, uint64_t count) const {
  const IrqInfo& info = this->irq(irq);
  if (count != 0 && within(start, count, info.count)) return {};
  return of(bdf_, Result<void>(
                      fail(EINVAL, "VFIO_DEVICE_SET_IRQS",
                           fmt::format("{} vectors from vector {} on are not within its {} vectors",
                                       count, start, info.count))));
}

Result<void> VfioDevice::check_identity() const {
  return identity_ ? identity_->check() : Result<void>{};
}

Result<void> VfioDevice::bind_irqs(Irq irq, uint32_t start, std::span<const int> eventfds) {
  PASSTHRU_TRY(check(irq, start, eventfds.size()));
  return of(bdf_,
            kernel_.bind_irqs(fd_.get(), {.index = irq, .start = start, .eventfds = eventfds}));
}

Result<void> VfioDevice::disable_irqs(Irq irq) {
  return of(bdf_, kernel_.disable_irqs(fd_.get(), irq));
}

Result<void> VfioDevice::act_on_irqs(Irq irq, IrqAction action, uint32_t start, uint32_t count) {
  PASSTHRU_TRY(check(irq, start, count));
  return of(bdf_, kernel_.act_on_irqs(fd_.get(), irq, action, start, count));
}

Result<void> VfioDevice::bind_unmask_eventfd(Irq irq, int eventfd) {
  PASSTHRU_TRY(check(irq, 0, 1));
  return of(bdf_, kernel_.bind_unmask_eventfd(fd_.get(), irq, eventfd));
}

Result<void> VfioDevice::reset() {
  if (!info_.resettable) {
    return of(bdf_, Result<void>(fail(EINVAL, "VFIO_DEVICE_RESET", "the device has no reset")));
  }
  return of(bdf_, kernel_.reset_device(fd_.get()));
}

Result<std::vector<HotResetFunction>> VfioDevice::hot_reset_set() {
  auto functions = PASSTHRU_TRY(of(bdf_, kernel_.hot_reset_info(fd_.get())));
  // The kernel's answer has 16 bits for a segment. One slot or bus is in one segment.
  for (HotResetFunction& function : functions) function.bdf.segment = bdf_.segment;
  return functions;
}

Result<void> VfioDevice::hot_reset() {
  const auto functions = PASSTHRU_TRY(hot_reset_set());
  return of(bdf_, dma_.hot_reset(fd_.get(), backend_, functions));
}

}  // namespace passthru
