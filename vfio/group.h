// SPDX-License-Identifier: MIT
// Whether a device can be assigned, from sysfs: its kind, its driver, and whether its IOMMU group
// can leave the host as a whole. Missing permissions show only when the group is opened.
#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "pci/sysfs.h"

namespace passthru {

/// Returns whether this member makes the kernel refuse the group to VFIO: it has a host driver that
/// does its own DMA. VFIO's drivers, pcieport and pci-stub do no DMA of their own, so they are
/// harmless; so is a member without a driver.
bool blocks_group(const GroupMember& member);

/// Returns the members that block a group. Empty: the group is viable.
Result<std::vector<GroupMember>> blocking_members(const Sysfs& sysfs, uint32_t group);

/// Returns the IOMMU group of a device that can be assigned. In an error, `cause` is short enough
/// for a table, and `advice` says what to do.
///
/// Errors, checked in this order:
/// - ENOENT: the device does not exist.
/// - EINVAL: the device is a bridge.
/// - ENODEV: the device has no IOMMU.
/// - ENODEV: the device is not bound to vfio-pci.
/// - EPERM: the group is not viable. The cause names each device that blocks it, with its driver.
Result<uint32_t> assignable_group(const Sysfs& sysfs, Bdf bdf);

/// Returns a function that can be bound to vfio-pci. Makes the first three checks of
/// `assignable_group`.
Result<PciFunction> bindable_function(const Sysfs& sysfs, Bdf bdf);

/// Returns the functions that must leave the host so that this function can be assigned, sorted:
/// itself, the members that block its group, and the members on VFIO. Bridges between buses stay.
/// So do members without a driver, such as the chipset's ISA bridge, and AMD's dummy host bridges.
///
/// Errors:
/// - Errors of `bindable_function`.
/// - ENOENT: the group went away.
Result<std::vector<Bdf>> functions_to_bind(const Sysfs& sysfs, Bdf bdf);

/// Returns all functions of this function's IOMMU group without bridges, itself included, sorted.
///
/// Errors:
/// - Errors of `bindable_function`.
/// - ENOENT: the group went away.
Result<std::vector<Bdf>> functions_of_group(const Sysfs& sysfs, Bdf bdf);

}  // namespace passthru
