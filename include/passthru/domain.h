/* SPDX-License-Identifier: MIT
 *
 * domain.h - domains: creation, destruction, reset of all devices.
 */
#ifndef PASSTHRU_DOMAIN_H
#define PASSTHRU_DOMAIN_H

#include <stdint.h>

#include <passthru/basics.h>
#include <passthru/callbacks.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_domain Domains
 * A domain holds what the devices of one VM share.
 * @{ */

/** Flags of passthru_domain_options. */
enum {
  /** The VMM takes an armed eventfd's counter within the call that signals it, as KVM's irqfd does.
   * A counter that stays above 0 then shows a lost irqfd, and the library turns it on again. */
  PASSTHRU_IRQFD_TAKES_AT_ONCE = 1 << 0,
};

/** Options of a domain. */
struct passthru_domain_options {
  uint32_t size;  /**< sizeof the struct */
  uint32_t flags; /**< PASSTHRU_IRQFD_* */
};

/** Creates a domain for a VMM that implements the callbacks. The library copies the table.
 * `callbacks` may be NULL: nothing is mapped and no interrupt is delivered, as for a program
 * without a guest. `options` may be NULL.
 *
 * Errors:
 * - EINVAL: `domain` is NULL, a flag is unknown, or a callback of a group is missing.
 * - E2BIG: a struct has members that this version does not know.
 * - ENFILE: this process has 4,096 domains.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_create(const struct passthru_callbacks* callbacks, void* vmm,
                                        const struct passthru_domain_options* options,
                                        passthru_domain** domain);

/** Ends the domain's threads, detaches its devices and frees the domain. Waits for calls under way
 * in other threads. No vCPU may run.
 *
 * Errors:
 * - EINVAL: the domain does not exist.
 * - EDEADLK: called from a callback.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_destroy(passthru_domain* domain);

/** Resets all devices of the domain for a reset of the VM. They are then as after power-on. No vCPU
 * may run meanwhile. A device without a reset of its own is reset with its slot or bus, if the
 * domain owns the IOMMU groups of all devices there. Of a device with PASSTHRU_NO_RESET, only what
 * the guest sees is reset. Tries each device, and returns the first error.
 *
 * Errors:
 * - ENODEV: nothing resets a device.
 * - EPERM: the slot or bus of a device has a device that the domain does not own, or that has
 *   PASSTHRU_NO_RESET.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_reset(passthru_domain* domain);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
