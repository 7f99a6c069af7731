/* SPDX-License-Identifier: MIT
 *
 * interrupts.h - interrupts: INTx, messages, vectors, and the forwarder.
 */
#ifndef PASSTHRU_INTERRUPTS_H
#define PASSTHRU_INTERRUPTS_H

#include <stdbool.h>
#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_interrupts Interrupts
 * @{ */

/** Reports that the guest has ended an interrupt on the line of the device's INTx pin. For a VMM
 * with the callback intx_level, which calls it for every device on the line. The VMM holds no lock
 * that intx_level takes.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_end_of_intx(passthru_device* device);

/** Translates the messages of all live vectors again. Call it when the answers of the callback
 * `translate` have changed.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_retranslate(passthru_device* device);

/** Starts or stops watching a vector: its interrupts then pass through the forwarder, which times
 * them.
 *
 * Errors:
 * - ENODEV: the device was detached.
 * - EINVAL: the device does not have the vector.
 * - ENOSPC, EMFILE: the vector cannot be forwarded, and is as before.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_watch(passthru_device* device, uint32_t vector, bool on);

/** Has the kernel act as if the device had signalled a vector.
 *
 * Errors:
 * - ENODEV: the device was detached.
 * - EINVAL: the vector has no interrupt of the host now.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_trigger(passthru_device* device, uint32_t vector);

/** Lets the calling thread drive the forwarder, instead of a thread of the library. Returns a
 * descriptor to poll for input in `fd`, which stays the library's. Call it before the first device
 * is opened. From then on only this thread calls passthru_domain_forward().
 *
 * Errors:
 * - EBUSY: the domain has a forwarder already.
 * - EMFILE, ENOMEM: the system has no descriptor or memory left.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_forwarder_fd(passthru_domain* domain, int* fd);
/** Delivers all interrupts of the forwarder that are due: calls signal_msi for each. Never waits.
 *
 * Errors:
 * - EPERM: another thread called passthru_domain_forwarder_fd(), or no thread did.
 * - Others: the poller failed. Call again a little later.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_forward(passthru_domain* domain);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
