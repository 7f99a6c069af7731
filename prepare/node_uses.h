// SPDX-License-Identifier: MIT
// The uses of a device that is neither a disk nor a network interface: consoles, displays, inputs,
// and device nodes that a process has open. prepare/in_use adds them to its own.
#pragma once

#include <filesystem>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"
#include "prepare/dependents.h"
#include "prepare/in_use.h"

namespace passthru {

/// Returns these uses:
/// - A serial port that is a console of the kernel.
/// - A display that shows the text console, or the display of the boot if the kernel does not say
///   which display shows the console.
/// - A keyboard, mouse or touch screen that is attached to the device.
/// - A device node that a process has open: a serial port, a sound card, a DRM card, a disk... Also
///   the node of NVIDIA's driver, which sysfs does not show.
///
/// Errors:
/// - Errors of `find_open_nodes`.
Result<std::vector<DeviceUse>> node_uses(const Sysfs& sysfs, const std::filesystem::path& proc,
                                         Bdf bdf, const Dependent& dependent);

}  // namespace passthru
