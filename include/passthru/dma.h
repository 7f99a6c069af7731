/* SPDX-License-Identifier: MIT
 *
 * dma.h - guest RAM and BARs that devices reach by DMA.
 */
#ifndef PASSTHRU_DMA_H
#define PASSTHRU_DMA_H

#include <stddef.h>
#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_dma DMA to guest RAM and BARs
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

/** Which parts of BARs the devices of a domain reach by DMA (peer-to-peer DMA). The library maps
 * only pages that the guest has mapped. */
enum passthru_p2p {
  /** With several devices, parts up to 4 GiB. With one device, parts up to 1 MiB: some devices
   * fetch their program from their own BAR. */
  PASSTHRU_P2P_AUTO = 0,
  PASSTHRU_P2P_ON = 1,  /**< parts of any size */
  PASSTHRU_P2P_OFF = 2, /**< no parts */
};

/** Chooses which parts of BARs devices reach by DMA: enum passthru_p2p. The default is
 * PASSTHRU_P2P_AUTO. Call it before the first passthru_device_open(), which starts a thread of the
 * library that maps these parts. The thread calls no callback. PASSTHRU_P2P_OFF starts no thread.
 *
 * Errors:
 * - EBUSY: a device of the domain is or was open.
 * - EINVAL: the choice is unknown.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_use_p2p(passthru_domain* domain, uint32_t choice);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
