// SPDX-License-Identifier: MIT
// The regions and resets of a fake device, after drivers/vfio/pci/vfio_pci_core.c and
// vfio_pci_rdwr.c.
#include "tests/fakes/fake_device.h"

#include <linux/pci_regs.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <cstring>

namespace passthru {
namespace {

constexpr unsigned kIndexShift = 40;  // VFIO_PCI_OFFSET_SHIFT
}  // namespace

FakeDevice::FakeDevice(FakeSpec spec, bool interrupt_remapping, uint64_t page_size)
    : spec_(std::move(spec)),
      interrupt_remapping_(interrupt_remapping),
      page_size_(page_size),
      config_(spec_) {
  for (size_t index = 0; index < bars_.size(); ++index) {
    if (spec_.bars[index].size == 0) continue;
    Memory& memory = bars_[index];
    memory.size = page_up(spec_.bars[index].size);
    memory.fd = Fd(memfd_create("bar", MFD_CLOEXEC));
    if (ftruncate(memory.fd.get(), static_cast<off_t>(memory.size)) != 0) std::abort();
    void* data = mmap(nullptr, memory.size, PROT_READ | PROT_WRITE, MAP_SHARED, memory.fd.get(), 0);
    if (data == MAP_FAILED) std::abort();
    memory.data = static_cast<std::byte*>(data);
  }
  MutexLock lock(state_mutex_);
  clear_msix();
}

FakeDevice::~FakeDevice() {
  for (Memory& memory : bars_) {
    if (memory.data != nullptr) munmap(memory.data, memory.size);
  }
}

Result<RegionInfo> FakeDevice::region_info(Region region) const {
  const auto index = static_cast<uint32_t>(region);
  RegionInfo info;
  info.fd_offset = uint64_t{index} << kIndexShift;
  if (region == Region::Config) {
    info.size = spec_.express ? 4096 : 256;
    info.readable = info.writable = true;
  } else if (region == Region::Rom) {
    if (spec_.rom.empty()) return info;
    info.size = std::bit_ceil(std::max<uint64_t>(spec_.rom.size(), 2048));
    info.readable = true;
  } else if (index < bars_.size()) {
    const FakeBar& bar = spec_.bars[index];
    if (bar.size == 0) return info;
    info.size = bar.size;
    info.readable = info.writable = true;
    info.mappable = bar.mappable;
    info.sparse = bar.sparse;
    info.msix_mappable = bar.mappable && spec_.msix.vectors != 0 && spec_.msix.mappable &&
                         spec_.msix.table_bar == index;
  } else {
    return fail(EINVAL, "VFIO_DEVICE_GET_REGION_INFO");
  }
  return info;
}

bool FakeDevice::in_table(unsigned bar, uint64_t offset) const {
  return spec_.msix.vectors != 0 && bar == spec_.msix.table_bar &&
         offset >= spec_.msix.table_offset &&
         offset - spec_.msix.table_offset < uint64_t{16} * spec_.msix.vectors;
}

FakeDevice::Access FakeDevice::access(uint64_t bar) const {
  if (spec_.bars[bar].io) return Access::Memory;
  if (!config_.memory_enabled() || faulting_) return Access::Nothing;
  return config_.decodes_memory() && !bars_lost_ ? Access::Memory : Access::Ones;
}

Result<void> FakeDevice::read(uint64_t fd_offset, std::span<std::byte> data) {
  const uint64_t index = fd_offset >> kIndexShift;
  const uint64_t offset = fd_offset & ((uint64_t{1} << kIndexShift) - 1);
  if (index > static_cast<uint32_t>(Region::Vga)) return fail(EINVAL, "pread");
  auto info = region_info(static_cast<Region>(index));
  if (!info || offset >= info->size) return fail(EINVAL, "pread");
  // The kernel transfers the bytes that exist; LinuxKernel reports a short transfer as EIO.
  if (data.size() > info->size - offset) return fail(EIO, "pread");

  MutexLock lock(state_mutex_);
  if (static_cast<Region>(index) == Region::Config) {
    if (gone_) {
      config_.read_gone(offset, data);
    } else {
      config_.read(offset, data);
    }
    return {};
  }
  std::fill(data.begin(), data.end(), std::byte{0xff});
  if (static_cast<Region>(index) == Region::Rom) {
    if (!spec_.rom_readable) return fail(ENOMEM, "pread");
    for (size_t i = 0; i < data.size() && offset + i < spec_.rom.size(); ++i)
      data[i] = spec_.rom[offset + i];
    return {};
  }
  if (held(index)) return fail(EBUSY, "pread");
  const Access how = access(index);
  if (how == Access::Nothing) return fail(EIO, "pread");
  if (how == Access::Ones) return {};
  const std::byte* const memory = device_memory(static_cast<unsigned>(index));
  for (size_t i = 0; i < data.size(); ++i) {
    if (!in_table(static_cast<unsigned>(index), offset + i)) data[i] = memory[offset + i];
  }
  return {};
}

Result<void> FakeDevice::write(uint64_t fd_offset, std::span<const std::byte> data) {
  const uint64_t index = fd_offset >> kIndexShift;
  const uint64_t offset = fd_offset & ((uint64_t{1} << kIndexShift) - 1);
  if (index >= static_cast<uint32_t>(Region::Vga)) return fail(EINVAL, "pwrite");
  if (static_cast<Region>(index) == Region::Rom) return fail(EINVAL, "pwrite");
  auto info = region_info(static_cast<Region>(index));
  if (!info || offset >= info->size) return fail(EINVAL, "pwrite");
  if (data.size() > info->size - offset) return fail(EIO, "pwrite");

  MutexLock lock(state_mutex_);
  if (static_cast<Region>(index) == Region::Config) {
    if (gone_) {
      config_.write_gone(offset, data);
      settle_mappings();
      return {};
    }
    const FakeConfig::Written written = config_.write(offset, data);
    if (written.command) bars_lost_ = false;
    settle_mappings();
    if (written.reset) do_reset();
    return {};
  }
  if (held(index)) return fail(EBUSY, "pwrite");
  const Access how = access(index);
  if (how == Access::Nothing) return fail(EIO, "pwrite");
  std::byte* const memory = device_memory(static_cast<unsigned>(index));
  for (size_t i = 0; how == Access::Memory && i < data.size(); ++i) {
    if (!in_table(static_cast<unsigned>(index), offset + i)) memory[offset + i] = data[i];
  }
  return {};
}

Result<FakeDevice::Mappable> FakeDevice::map(uint64_t fd_offset, uint64_t size) {
  const uint64_t index = fd_offset >> kIndexShift;
  const uint64_t offset = fd_offset & ((uint64_t{1} << kIndexShift) - 1);
  if (index >= bars_.size()) return fail(EINVAL, "mmap");
  const FakeBar& bar = spec_.bars[index];
  const uint64_t end = page_up(bar.size);
  if (!bar.mappable || size == 0 || offset % page_size_ != 0 || offset >= end ||
      page_up(size) > end - offset) {
    return fail(EINVAL, "mmap");
  }
  auto holds = [&](const MapArea& area) {
    return offset >= area.offset && offset - area.offset <= area.size &&
           size <= area.size - (offset - area.offset);
  };
  if (!bar.sparse.empty() && std::none_of(bar.sparse.begin(), bar.sparse.end(), holds)) {
    return fail(EINVAL, "mmap");
  }
  if (spec_.msix.vectors != 0 && spec_.msix.table_bar == index && !spec_.msix.mappable) {
    const uint64_t first = spec_.msix.table_offset & ~(page_size_ - 1);
    const uint64_t last = page_up(spec_.msix.table_offset + uint64_t{16} * spec_.msix.vectors);
    if (offset < last && first < offset + size) return fail(EINVAL, "mmap");
  }
  MutexLock lock(state_mutex_);
  if (held(index)) return fail(EBUSY, "mmap");
  return Mappable{bars_[index].fd.get(), offset};
}

Result<void> FakeDevice::reset() {
  if (reset_pause_) reset_pause_();
  MutexLock lock(state_mutex_);
  if (!spec_.resets) return fail(EINVAL, "VFIO_DEVICE_RESET");
  // pci_try_reset_function()
  if (take_busy_reset()) return fail(EAGAIN, "VFIO_DEVICE_RESET");
  do_reset();
  return {};
}

bool FakeDevice::take_busy_reset() {
  if (busy_resets_ == 0) return false;
  if (busy_resets_ != UINT32_MAX) --busy_resets_;
  return true;
}

bool FakeDevice::is_busy() {
  MutexLock lock(state_mutex_);
  return take_busy_reset();
}

void FakeDevice::hold_bar(unsigned bar) {
  MutexLock lock(state_mutex_);
  held_bars_ |= 1U << bar;
}

void FakeDevice::set_busy_resets(unsigned resets) {
  MutexLock lock(state_mutex_);
  busy_resets_ = resets;
}

void FakeDevice::hot_reset() {
  if (reset_pause_) reset_pause_();
  MutexLock lock(state_mutex_);
  do_reset();
}

void FakeDevice::do_reset() {
  ++resets_;
  // The kernel saves config space and MSI-X before the reset and restores both after it.
  clear_msix();
  intx_level_ = false;
  restore_irqs();
}

void FakeDevice::backdoor_reset() {
  MutexLock lock(state_mutex_);
  clear_msix();
  intx_level_ = false;
  config_.backdoor_reset();
  if (!config_.decodes_memory()) lose_bars();
}

void FakeDevice::released() {
  MutexLock lock(state_mutex_);
  disable_all();
  for (Fd& eventfd : single_) eventfd.reset();
  // vfio_pci_core_disable() also only tries to take the lock.
  if (spec_.resets && !take_busy_reset()) do_reset();
  config_ = FakeConfig(spec_);
  find_bars();
}

unsigned FakeDevice::resets() {
  MutexLock lock(state_mutex_);
  return resets_;
}

}  // namespace passthru
