/* SPDX-License-Identifier: MIT
 *
 * kvm.h - domains on KVM, and the MSI routes of the VMM itself.
 */
#ifndef PASSTHRU_KVM_H
#define PASSTHRU_KVM_H

#include <stddef.h>
#include <stdint.h>

#include <passthru/basics.h>
#include <passthru/callbacks.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_kvm Domains on KVM
 * @{ */

/** Flags of passthru_kvm_options. */
enum {
  /** The VM has a split irqchip: its IOAPIC is the VMM's. */
  PASSTHRU_KVM_SPLIT_IRQCHIP = 1 << 0,
  /** Interrupts may go to APICs with ids above 255 (KVM_CAP_X2APIC_API). */
  PASSTHRU_KVM_EXTENDED_DESTINATIONS = 1 << 1,
  /** MSI and MSI-X pass through the forwarder and KVM_SIGNAL_MSI, instead of an irqfd. */
  PASSTHRU_KVM_MSI_BY_MESSAGE = 1 << 2,
};

/** Options of a domain on KVM. */
struct passthru_kvm_options {
  uint32_t size;       /**< sizeof the struct */
  uint32_t flags;      /**< PASSTHRU_KVM_* */
  int32_t vm_fd;       /**< the VM, with an irqchip; must stay open as long as the domain */
  uint32_t first_slot; /**< the first memory slot that the library may use; 0: 16 */
  uint32_t first_gsi;  /**< the first GSI that the library may use; 0: 24 */
  uint32_t reserved;   /**< 0 */
  /** Returns the GSI that INTx `pin` of a guest's device is wired to, or -errno. NULL: INTx is not
   * delivered. Gets the `vmm` of the callbacks. */
  int (*intx_gsi)(void* vmm, uint32_t guest_address, uint32_t pin);
};

/** Creates a domain on a VM of KVM. `callbacks` may be NULL: the library then does everything on
 * KVM. A group of callbacks that is given takes the place of KVM (struct passthru_callbacks).
 * Unless the VMM has its own routes, KVM's routing table belongs to the library from now on.
 *
 * Errors:
 * - EINVAL: a pointer is NULL, a flag is unknown, or a callback of a pair is missing.
 * - EINVAL: the VM has no irqchip, or has fewer slots or GSIs than the options need.
 * - E2BIG: a struct has members that this version does not know.
 * - ENFILE: this process has 4,096 domains.
 * - ENOTSUP: this KVM lacks irqfd, routing or KVM_SIGNAL_MSI.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_create_kvm(const struct passthru_kvm_options* options,
                                            const struct passthru_callbacks* callbacks, void* vmm,
                                            passthru_domain** domain);

/** An MSI route of the VMM itself in KVM's routing table. */
struct passthru_kvm_route {
  uint32_t gsi;                    /**< below first_gsi, and no pin of KVM's irqchip */
  uint32_t source;                 /**< requester id, if KVM takes it */
  struct passthru_message message; /**< that KVM delivers */
};

/** Replaces all of the VMM's own MSI routes in the table of a domain on KVM: those of its virtio
 * devices, or of the pins of its own IOAPIC. Their irqfds are the VMM's.
 *
 * Errors:
 * - EINVAL: a GSI is not below first_gsi, is a pin of KVM's irqchip, or occurs twice.
 * - ENOSPC: the table has no room.
 * - ENOTSUP: the domain is not on KVM, or the VMM has its own routing callbacks.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_set_kvm_routes(passthru_domain* domain,
                                                const struct passthru_kvm_route* routes,
                                                size_t count);

/** @} */

#ifdef __cplusplus
}
#endif

#endif
