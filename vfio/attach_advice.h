// SPDX-License-Identifier: MIT
// Owns what a user is told when attaching a group fails: the kernel's errno becomes a cause and a
// sentence of advice. Pure. DmaSpace calls it, and vfio/host_checks, which tells it beforehand.
#pragma once

#include <cstdint>

#include "vfio/result.h"

namespace passthru {

/// /dev/vfio/vfio did not open.
Error explain_container(Error error);
/// /dev/vfio/GROUP did not open: ENOENT, EBUSY, EACCES.
Error explain_group(Error error, uint32_t group);
/// A device of the group belongs to a driver of the host.
Error group_not_viable(uint32_t group);
/// The IOMMU refused the group. EPERM: it has no interrupt remapping.
Error explain_iommu(Error error, uint32_t group);
/// Type1 was told not to insist on interrupt remapping, the user has not agreed.
Error interrupts_unsafe(uint32_t group);
/// A DMA mapping failed. ENOMEM: `needed` bytes in all, `limit` is RLIMIT_MEMLOCK (UINT64_MAX:
/// none).
Error explain_mapping(Error error, uint64_t needed, uint64_t limit);

}  // namespace passthru
