// SPDX-License-Identifier: MIT
// Causes and advice for the kernel's errors while a device is attached. Pure. Container, Ioas and
// DmaSpace use them; so does prepare/host_checks, in advance.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "pci/bdf.h"
#include "vfio/attach_facts.h"
#include "vfio/kernel.h"

namespace passthru {

// EACCES of an open comes from the owner and the mode of the node. EPERM comes from the device
// cgroup, also for root.

/// Explains EPERM of an open of a node in /dev.
Error explain_cgroup(Error error, const std::string& node);
/// Explains why /dev/vfio/vfio did not open.
Error explain_container(Error error);
/// Explains why /dev/vfio/GROUP did not open.
Error explain_group(Error error, uint32_t group);
/// Returns the error for a group with a device that is bound to a host driver.
Error group_not_viable(uint32_t group);
/// Returns the error for memory that firmware reserves for the device: EPERM. `error` names the
/// operation.
Error memory_reserved(Error error, const std::vector<IovaRange>& regions);
/// Explains why the IOMMU refused the group, from the facts about it:
/// - EPERM, and EINVAL of VFIO_GROUP_SET_CONTAINER, with direct regions: firmware reserves memory.
/// - EPERM otherwise: no interrupt remapping. If it is there, only the kernel's log has the reason.
Error explain_iommu(Error error, uint32_t group, const AttachFacts& facts = {});
/// Explains why /dev/iommu did not open.
Error explain_iommufd(Error error);
/// Explains why /dev/vfio/devices/NAME did not open.
Error explain_cdev(Error error, const std::string& name);
/// Explain why a descriptor from the caller is not an iommufd or not a container: EBADF, EINVAL,
/// ENOTTY.
Error explain_given_iommufd(Error error, int fd);
Error explain_given_container(Error error, int fd);
/// Explains why the iommufd did not accept the device:
/// - EBUSY: the device is in use.
/// - EINVAL with direct regions: firmware reserves memory.
/// - Other EINVAL, which becomes EBUSY: the device is probably in use. The cause names the other
///   possibilities.
/// - EPERM: its group has another owner, or interrupt remapping is missing, unless the facts show
///   that it is there.
Error explain_bind(Error error, const AttachFacts& facts = {});
/// Explains why the IOAS did not accept the device.
Error explain_ioas(Error error);
/// Returns the error for allow_unsafe_interrupts in type1 or iommufd without the agreement of the
/// user. `what` is the operation.
Error interrupts_unsafe(Backend backend, std::string what);
/// Returns the error for a reset of the slot or bus that would also reset `function`, which is not
/// assigned to the VM. `where` is added to its name.
Error reset_takes(Bdf function, const std::string& where);
/// Explains why the kernel did not map `memory` for DMA: it meets addresses that devices cannot
/// use, `gap` (gap_met).
Error explain_address(Error error, const IovaRange& memory, const IovaRange& gap);
/// Explains why a DMA mapping failed.
/// - ENOMEM: `needed` is the total in bytes, `limit` is RLIMIT_MEMLOCK (UINT64_MAX: no limit).
/// - ENOSPC: the container has as many mappings as it may have.
Error explain_mapping(Error error, uint64_t needed, uint64_t limit);

}  // namespace passthru
