// SPDX-License-Identifier: MIT
#include "vmm/reserved_ranges.h"

#include <optional>

#include "vfio/attach_facts.h"

namespace passthru {
namespace {

/// A device that another process opened may have no address on the command line.
std::optional<Bdf> address_of(Kernel& kernel, const Sysfs& sysfs, const DeviceArgument& device) {
  if (device.options.device != Bdf{}) return device.options.device;
  if (device.source.cdev_fd < 0) return std::nullopt;
  const auto number = kernel.device_number(device.source.cdev_fd);
  return number ? sysfs.function_behind(*number) : std::nullopt;
}

}  // namespace

std::vector<ReservedRange> reserved_ranges(Kernel& kernel, const Sysfs& sysfs,
                                           const std::vector<DeviceArgument>& devices) {
  std::vector<ReservedRange> reserved;
  for (const DeviceArgument& device : devices) {
    const auto bdf = address_of(kernel, sysfs, device);
    if (!bdf) continue;
    const auto function = sysfs.function(*bdf);
    if (!function || !function->iommu_group) continue;
    for (const IovaRange& range : unusable_regions(sysfs, *function->iommu_group)) {
      reserved.push_back({.range = range, .device = *bdf});
    }
  }
  return reserved;
}

}  // namespace passthru
