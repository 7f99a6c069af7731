/* SPDX-License-Identifier: MIT
 *
 * state.h - the state of a device that goes on in another process.
 */
#ifndef PASSTHRU_STATE_H
#define PASSTHRU_STATE_H

#include <stddef.h>
#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_state Replacing a VMM while its device goes on
 * @{ */

/** The descriptors that another process needs to go on with a device; -1: does not apply. */
struct passthru_descriptors {
  uint32_t size;     /**< sizeof the struct; set it before the call */
  uint32_t backend;  /**< enum passthru_backend: GROUP or CDEV */
  int32_t device;    /**< the device itself */
  int32_t group;     /**< its group, if it was opened through it */
  int32_t iommu;     /**< the container, or the iommufd */
  uint32_t reserved; /**< 0 */
};

/** Returns the descriptors of a device. They stay the library's, and open until the device is
 * closed, also after passthru_device_state_save(). Pass copies to the other process. The device's
 * own must stay open until the other process has opened the device: the kernel resets a device at
 * its last close.
 *
 * Errors:
 * - EINVAL: the size is wrong.
 * - ENODEV: the device was detached.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_descriptors(passthru_device* device,
                                             struct passthru_descriptors* descriptors);

/** Saves what the guest sees of the device: config space, BARs, MSI-X table and pending bits. The
 * device then belongs to the VMM that loads the state: this handle only closes, without a reset.
 * With a NULL `state`, only returns the largest size in `*size` and changes nothing. Otherwise
 * `*size` is the room; on return it is the size of the state.
 *
 * Errors:
 * - ENOSPC: the room is too small. Nothing has changed.
 * - EBUSY: the guest is resetting the device. Stop the vCPUs first.
 * - EINVAL: the device waits for a state itself.
 * - ENODEV: the device was detached.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_state_save(passthru_device* device, void* state, size_t* size);

/** Loads a state into a device that was opened with PASSTHRU_KEEP_STATE. The guest goes on.
 *
 * Errors:
 * - EINVAL: the state is damaged, or of another device, or the device does not wait for a state.
 * - ENOTSUP: a newer version of the library saved it.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_state_load(passthru_device* device, const void* state,
                                            size_t size);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
