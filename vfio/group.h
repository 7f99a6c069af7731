// SPDX-License-Identifier: MIT
// Owns the question whether a device can be assigned, as far as sysfs can answer it: what it is,
// who drives it, and whether its IOMMU group can leave the host as a whole. Permissions show only
// when the group is opened.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// Whether the kernel refuses the group to VFIO because of this member: a driver of the host that
/// does DMA of its own. VFIO's drivers, pcieport and pci-stub do none and are harmless, and so is
/// having no driver.
bool blocks_group(const GroupMember& member);

/// The members of a group that block it; empty: the group is viable.
Result<std::vector<GroupMember>> blocking_members(const Sysfs& sysfs, uint32_t group);

/// The IOMMU group of a device that can be assigned. Otherwise an error whose `cause` is short
/// enough for a table and whose `advice` says what to do; the first of: ENOENT no such device;
/// EINVAL a bridge; ENODEV no IOMMU; ENODEV not bound to vfio-pci; EPERM group not viable, naming
/// each device that blocks it and its driver.
Result<uint32_t> assignable_group(const Sysfs& sysfs, Bdf bdf);

/// The first three of these questions: what must hold before a device can be bound to vfio-pci.
Result<PciFunction> bindable_function(const Sysfs& sysfs, Bdf bdf);

/// All functions that leave the host with this one, itself among them: those of its IOMMU group
/// that are no bridges, ordered. Errors of `bindable_function`; ENOENT: the group went away.
Result<std::vector<Bdf>> functions_of_group(const Sysfs& sysfs, Bdf bdf);

}  // namespace passthru
