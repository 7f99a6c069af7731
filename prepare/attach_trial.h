// SPDX-License-Identifier: MIT
// A trial of what `passthru run` does with a device, for `passthru doctor`. The modes of the nodes
// in /dev do not show all that the kernel refuses.
#pragma once

#include "base/result.h"
#include "prepare/host_checks.h"
#include "prepare/host_facts.h"
#include "vfio/kernel.h"

namespace passthru {

/// Returns whether a VMM of this user opens the device by its own node, not through its group.
bool opens_by_node(const HostFacts& host, const DeviceFacts& device);

/// Opens the nodes of the device and maps a page for DMA. Through the group, this attaches the
/// group to a container. By the device's own node, it stops before the bind to the iommufd. So the
/// kernel does not reset the device. Nothing is left open. Call it if access(2) allows the nodes.
///
/// Errors:
/// - EACCES: a mount or a security module forbids a node.
/// - EBUSY: a process uses the device.
/// - Errors of DmaSpace::attach_group and DmaSpace::add.
Result<void> try_attach(Kernel& kernel, const HostRoots& roots, const DeviceFacts& device,
                        bool by_node);

/// Explains EACCES for a node that access(2) allows. `nodev`: it is on a file system that is
/// mounted with that option.
Error explain_forbidden(Error error, bool nodev);

/// Judges the trial.
HostCheck check_attach(const Result<void>& tried);

}  // namespace passthru
