// SPDX-License-Identifier: MIT
// Owns what a user is told when attaching a device fails: the kernel's errno becomes a cause and a
// sentence of advice. Pure. Container, Ioas and DmaSpace call it, and prepare/host_checks, which
// tells it beforehand.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "pci/bdf.h"
#include "vfio/kernel.h"

namespace passthru {

/// /dev/vfio/vfio did not open.
Error explain_container(Error error);
/// /dev/vfio/GROUP did not open: ENOENT, EBUSY, EACCES.
Error explain_group(Error error, uint32_t group);
/// A device of the group belongs to a driver of the host.
Error group_not_viable(uint32_t group);
/// The IOMMU refused the group. EPERM: it has no interrupt remapping.
Error explain_iommu(Error error, uint32_t group);
/// /dev/iommu did not open.
Error explain_iommufd(Error error);
/// /dev/vfio/devices/NAME did not open.
Error explain_cdev(Error error, const std::string& name);
/// A descriptor that was given for the iommufd, or for the container, did not answer as one. EBADF,
/// EINVAL, ENOTTY.
Error explain_given_iommufd(Error error, int fd);
Error explain_given_container(Error error, int fd);
/// The iommufd did not take the device. EBUSY: it is in use; EINVAL, which becomes EBUSY: probably,
/// and what else it may be is said; EPERM: no interrupt remapping, or its group is in other hands.
Error explain_bind(Error error);
/// The IOAS did not take the device.
Error explain_ioas(Error error);
/// Type1, or iommufd, was told not to insist on interrupt remapping, the user has not agreed.
/// `what` was to be done.
Error interrupts_unsafe(Backend backend, std::string what);
/// A reset of the slot or bus would also reset this function (`where` adds to its name), which is
/// not the VM's.
Error reset_takes(Bdf function, const std::string& where);
/// What devices write is logged by a container only, and one is, or is to be, in an IOAS.
Error dirty_log_of_groups_only();
/// A DMA mapping failed. ENOMEM: `needed` bytes in all, `limit` is RLIMIT_MEMLOCK (UINT64_MAX:
/// none).
Error explain_mapping(Error error, uint64_t needed, uint64_t limit);

}  // namespace passthru
