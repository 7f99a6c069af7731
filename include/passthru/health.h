/* SPDX-License-Identifier: MIT
 *
 * health.h - checks of devices, and events of the host.
 */
#ifndef PASSTHRU_HEALTH_H
#define PASSTHRU_HEALTH_H

#include <stddef.h>
#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_health Health and events
 * @{ */

/** Checks the device: restores live vectors that are damaged, and detaches a device that no longer
 * answers. `restored`, unless NULL, receives the number of restored vectors.
 *
 * Errors:
 * - ENODEV: the device does not answer, or was detached.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_check(passthru_device* device, uint32_t* restored);

/** Starts a thread for each device of the domain, also for devices that are opened later. The
 * threads check the devices every `interval_ms`, and handle the host's events. 0: only events. A
 * VMM with its own loop calls passthru_device_check() and passthru_device_handle_events() instead.
 *
 * Errors:
 * - EBUSY: the audit runs already.
 * - EAGAIN, EMFILE: the system has no thread or descriptor left.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_start_audit(passthru_domain* domain, uint32_t interval_ms);
/** Stops these threads. Does nothing if the audit does not run.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_stop_audit(passthru_domain* domain);

/** Returns the descriptors that are readable when the host has an event for the device. Then call
 * passthru_device_handle_events(). They stay open until the device is closed. `*count` is the room
 * in `fds`; on return it is their number.
 *
 * Errors:
 * - ENOSPC: there are more than `*count`. `*count` is their number; `fds` is not written.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_event_fds(passthru_device* device, int* fds, size_t* count);
/** Reports the host's events that have arrived to the callback `event`.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_handle_events(passthru_device* device);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
