// SPDX-License-Identifier: MIT
// AssignedDevice: its BARs, for a VMM that places them itself.
#include "device/assigned_device_impl.h"

namespace passthru {

void AssignedDevice::bar_read(unsigned bar, uint64_t offset, std::span<std::byte> data) {
  impl_->bar_access().read(bar, offset, data);
}

void AssignedDevice::bar_write(unsigned bar, uint64_t offset, std::span<const std::byte> data) {
  impl_->bar_access().write(bar, offset, data);
}

}  // namespace passthru
