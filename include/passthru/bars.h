/* SPDX-License-Identifier: MIT
 *
 * bars.h - BARs: accesses of the guest, sizes, and the parts that have memory.
 */
#ifndef PASSTHRU_BARS_H
#define PASSTHRU_BARS_H

#include <stddef.h>
#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_bars BARs
 * @{ */

/** Hides BARs at [address, address + size): the VMM's own devices, APICs and RAM are there.
 * Accesses to these addresses get -ENXIO, and nothing is mapped there. Call it before the guest
 * runs. For BARs that the library places. The range is hidden as long as the domain exists.
 *
 * Errors:
 * - EINVAL: the size is 0, or the range ends beyond the address space.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_hide_bars(passthru_domain* domain, uint64_t address,
                                           uint64_t size);

/** Forwards an access of a vCPU to the devices' BARs. `data` has the guest's bytes. Bytes that no
 * BAR has read as all ones, and are dropped.
 *
 * Errors:
 * - ENXIO: no BAR has any of the bytes. A read has filled `data` with ones.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_mmio_read(passthru_domain* domain, uint64_t address, void* data,
                                           size_t size);
PASSTHRU_API int passthru_domain_mmio_write(passthru_domain* domain, uint64_t address,
                                            const void* data, size_t size);
PASSTHRU_API int passthru_domain_port_read(passthru_domain* domain, uint16_t port, void* data,
                                           size_t size);
PASSTHRU_API int passthru_domain_port_write(passthru_domain* domain, uint16_t port,
                                            const void* data, size_t size);

/** Flags of passthru_bar_info. */
enum {
  PASSTHRU_BAR_IO = 1 << 0,           /**< it consists of I/O ports */
  PASSTHRU_BAR_64BIT = 1 << 1,        /**< its address has 64 bits */
  PASSTHRU_BAR_PREFETCHABLE = 1 << 2, /**< reads have no side effects */
  PASSTHRU_BAR_DECODED = 1 << 3,      /**< the guest has placed it: guest_address is valid */
};

/** A BAR as the guest sees it. */
struct passthru_bar_info {
  uint32_t size;          /**< sizeof the struct */
  uint32_t flags;         /**< PASSTHRU_BAR_* */
  uint64_t bar_size;      /**< bytes; 0: the guest has no such BAR */
  uint64_t guest_address; /**< with PASSTHRU_BAR_DECODED */
};

/** Describes a BAR that the guest sees. `bar` is 0 to 5, or 6 for the expansion ROM. Set
 * `info->size` before the call.
 *
 * Errors:
 * - EINVAL: the handle, the number or the size is wrong.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_bar_info(passthru_device* device, uint32_t bar,
                                          struct passthru_bar_info* info);

/** A part of a BAR. */
struct passthru_span {
  uint64_t offset;    /**< in the BAR */
  uint64_t size;      /**< bytes */
  void* memory;       /**< in this process; NULL: accesses must be forwarded */
  int32_t fd;         /**< the device's descriptor, which stays the library's; -1 without memory */
  uint32_t reserved;  /**< 0 */
  uint64_t fd_offset; /**< of `memory` in `fd` */
};

/** Returns the parts of a BAR, ascending. `*count` is the room in `spans`; on return it is their
 * number. The memory stays mapped until the device is closed or detached; place_bar is called
 * before.
 *
 * Errors:
 * - EINVAL: the handle or the number is wrong.
 * - ENOSPC: there are more than `*count` parts. `*count` is their number; `spans` is not written.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_bar_spans(passthru_device* device, uint32_t bar,
                                           struct passthru_span* spans, size_t* count);

/** Reads or writes a BAR as the guest sees it, at an offset, also while the guest does not decode
 * it. Bytes beyond the BAR read as all ones, and are dropped. If a read fails, all bytes are ones.
 *
 * Errors:
 * - EINVAL: the handle or the number is wrong.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_bar_read(passthru_device* device, uint32_t bar, uint64_t offset,
                                          void* data, size_t size);
PASSTHRU_API int passthru_device_bar_write(passthru_device* device, uint32_t bar, uint64_t offset,
                                           const void* data, size_t size);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
