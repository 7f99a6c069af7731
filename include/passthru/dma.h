/* SPDX-License-Identifier: MIT
 *
 * dma.h - guest RAM that devices reach by DMA.
 */
#ifndef PASSTHRU_DMA_H
#define PASSTHRU_DMA_H

#include <stddef.h>
#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_dma DMA to guest RAM
 * @{ */

/** Flags of passthru_domain_add_memory() and passthru_domain_add_memory_fd(). */
enum {
  PASSTHRU_MEMORY_READ_ONLY = 1 << 0, /**< devices may not write it */
};

/** Adds guest RAM that devices may reach by DMA. It stays pinned and must stay mapped until
 * passthru_domain_remove_memory().
 *
 * Errors:
 * - EINVAL: the memory is not page aligned, or overlaps other memory.
 * - ENOMEM: RLIMIT_MEMLOCK is too small; the text says how much is needed.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_add_memory(passthru_domain* domain, uint64_t address, void* memory,
                                            uint64_t size, uint32_t flags);

/** Adds guest RAM that is a file: bytes [offset, offset + size) of `fd`, which this process has
 * mapped at `memory`. The kernel maps the file for DMA if it can (Linux 6.13 with iommufd), and
 * `memory` otherwise. The library keeps a copy of `fd`.
 *
 * Errors:
 * - EBADF: `fd` is not open.
 * - those of passthru_domain_add_memory().
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_add_memory_fd(passthru_domain* domain, uint64_t address, int fd,
                                               uint64_t offset, void* memory, uint64_t size,
                                               uint32_t flags);

/** Removes the guest RAM that was added at `address`.
 *
 * Errors:
 * - ENOENT: no memory was added at this address.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_remove_memory(passthru_domain* domain, uint64_t address);

/** A range of addresses, the last one included. */
struct passthru_range {
  uint64_t first; /**< the first address */
  uint64_t last;  /**< the last address, which belongs to the range */
};

/** Returns the guest addresses at which the IOMMU can map RAM for the devices that are open, in
 * ascending order. All others are reserved. `*count` is the room in `ranges`; on return it is the
 * number of ranges. No ranges are returned if no device is open.
 *
 * Errors:
 * - ENOSPC: there are more than `*count` ranges. `*count` is their number; `ranges` is not written.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_usable_ranges(passthru_domain* domain,
                                               struct passthru_range* ranges, size_t* count);

/** Uses an iommufd or a VFIO container that another process opened, instead of opening one. The
 * library uses a copy of the descriptor; close yours.
 *
 * Errors:
 * - EBADF: `fd` is not open.
 * - EBUSY: the domain has an iommufd or container already.
 * - EINVAL: the descriptor is of another file.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_use_iommufd(passthru_domain* domain, int fd);
PASSTHRU_API int passthru_domain_use_container(passthru_domain* domain, int fd);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
