// SPDX-License-Identifier: MIT
// AssignedDevice: its BARs, for a VMM that places them itself.
#include "device/assigned_device_impl.h"

namespace passthru {

std::vector<BarSpanMemory> AssignedDevice::Impl::bar_spans(unsigned bar) {
  MutexLock lock(device_mutex_);
  return attached() && bar < kBars ? bars_->memory(bar) : std::vector<BarSpanMemory>{};
}

BarInspection AssignedDevice::Impl::bar_info(unsigned bar) {
  MutexLock lock(device_mutex_);
  return attached() && bar < kBars ? inspect_bar(bar) : BarInspection{.index = bar};
}

std::vector<BarSpanMemory> AssignedDevice::bar_spans(unsigned bar) const {
  return impl_->bar_spans(bar);
}

BarInspection AssignedDevice::bar_info(unsigned bar) const {
  return impl_->bar_info(bar);
}

void AssignedDevice::bar_read(unsigned bar, uint64_t offset, std::span<std::byte> data) {
  impl_->bar_access().read(bar, offset, data);
}

void AssignedDevice::bar_write(unsigned bar, uint64_t offset, std::span<const std::byte> data) {
  impl_->bar_access().write(bar, offset, data);
}

}  // namespace passthru
