// SPDX-License-Identifier: MIT
// The addresses that the IOMMU reserves for the devices of a VM. Reads only sysfs, before any
// device is opened.
#pragma once

#include <vector>

#include "pci/sysfs.h"
#include "vfio/kernel.h"
#include "vmm/device_argument.h"
#include "vmm/ram_layout.h"

namespace passthru {

/// Returns the reserved ranges of the devices' groups. Leaves out ranges of type "direct": the
/// kernel refuses their devices, and the refusal names the range. A device that does not exist, or
/// whose descriptor sysfs does not know, has none: it is refused when it is opened, or its memory
/// when it is mapped.
std::vector<ReservedRange> reserved_ranges(Kernel& kernel, const Sysfs& sysfs,
                                           const std::vector<DeviceArgument>& devices);

}  // namespace passthru
