// SPDX-License-Identifier: MIT
// The reason why the kernel gives a device to vfio-pci again after `unbind`: vfio-pci has an id for
// it.
#pragma once

#include <filesystem>

#include "base/result.h"
#include "pci/sysfs.h"

namespace passthru {

/// Returns the error about a device that has a VFIO driver after `unbind`. vfio-pci has no ids of
/// its own, so an id was added: by its parameter `ids=`, or by a write to `new_id`. The kernel
/// shows neither. The message names the parameter if the kernel's command line or modprobe's
/// configuration below `root` has a matching id; otherwise it speaks of a dynamic id. Its advice
/// removes the id.
Error taken_back(const std::filesystem::path& root, const PciFunction& function);

}  // namespace passthru
