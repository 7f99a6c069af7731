/* SPDX-License-Identifier: MIT
 *
 * callbacks.h - the callbacks of a VMM, and the messages and events that they get.
 */
#ifndef PASSTHRU_CALLBACKS_H
#define PASSTHRU_CALLBACKS_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/** @defgroup passthru_callbacks What a VMM implements
 * @{ */

/** The message of an interrupt, as a device writes it. */
struct passthru_message {
  uint64_t address;  /**< where the device writes */
  uint32_t data;     /**< what it writes */
  uint32_t reserved; /**< 0 */
};

/** A space of guest addresses. */
enum passthru_space {
  PASSTHRU_MMIO = 0,  /**< guest-physical memory */
  PASSTHRU_PORTS = 1, /**< I/O ports */
};

/** The kind of an event. */
enum passthru_event_kind {
  PASSTHRU_EVENT_VECTOR_FAILED = 0,   /**< a vector could not be bound or routed */
  PASSTHRU_EVENT_BAR_REFUSED = 1,     /**< the VMM refused a mapping: the BAR stays where it was */
  PASSTHRU_EVENT_DAMAGE_RESTORED = 2, /**< the physical MSI-X state was restored */
  PASSTHRU_EVENT_RESTORE_FAILED = 3,  /**< it could not be restored; reported once */
  PASSTHRU_EVENT_DEVICE_RESET = 4,    /**< the guest reset its device */
  PASSTHRU_EVENT_RESET_FAILED = 5,    /**< the guest's view was reset, the device was not */
  PASSTHRU_EVENT_UNPLUG_REQUEST = 6,  /**< the host asks for the device back */
  PASSTHRU_EVENT_DEVICE_ERROR = 7,    /**< the device reported an uncorrectable error */
  PASSTHRU_EVENT_DEVICE_GONE = 8,     /**< the device no longer answers, and was detached */
  PASSTHRU_EVENT_DEVICE_SILENT = 9,   /**< no answer: its BARs are removed until it answers */
  PASSTHRU_EVENT_DEVICE_ANSWERS = 10, /**< it answers again; its BARs are back */
  PASSTHRU_EVENT_P2P_REFUSED = 11,    /**< devices do not reach a BAR by DMA; once for a domain */
  PASSTHRU_EVENT_DEVICE_LIMITED = 12, /**< at its open: a part does not work as announced,
                                           or it was not reset */
};

/** A report to the VMM. A guest cannot cause events without limit. */
struct passthru_event {
  uint32_t size;          /**< sizeof the struct, in the library that runs */
  uint32_t kind;          /**< enum passthru_event_kind; newer versions may add kinds */
  uint32_t guest_address; /**< of the device: bus << 8 | device << 3 | function */
  uint32_t reserved;      /**< 0 */
  const char* device;     /**< the host's name, "0000:01:00.0"; valid during the call. Of an event
                               without a device: "0000:00:00.0" */
  const char* text;       /**< what happened; valid during the call */
};

/** The callbacks of a VMM. Each gets `vmm`, the pointer that was given with this table. `int` means
 * 0 or -errno. A callback that is NULL has the default that its comment states.
 *
 * `source` is the guest's requester id: bus << 8 | device << 3 | function. A `route` is a number
 * that the VMM chooses in route_add.
 *
 * A domain on KVM (passthru_domain_create_kvm()) does by itself what a VMM leaves out. It decides
 * for each of these groups as a whole: map and unmap; route_add to signal_msi; intx_on to
 * intx_level; file_added and file_removed.
 */
struct passthru_callbacks {
  uint32_t size;     /**< sizeof the struct */
  uint32_t reserved; /**< 0 */

  /** Maps host memory at a guest address. Never called for an address that is mapped. `memory` is
   * device memory: while the device is reset or gone, an access from this process raises SIGBUS.
   * Default: nothing is mapped, and every access must be forwarded. */
  int (*map)(void* vmm, uint64_t address, uint64_t size, void* memory);
  /** Removes exactly the mapping of one `map`. On return no vCPU reaches the memory. On error the
   * memory stays mapped in this process, and the library tries again at its next change. */
  int (*unmap)(void* vmm, uint64_t address, uint64_t size);
  /** Announces that the library answers accesses to a range of a space (enum passthru_space),
   * except where `map` mapped memory. The VMM forwards them to passthru_domain_mmio_read() and its
   * siblings. Default: the VMM asks the library about every address that nothing else answers. */
  int (*trap)(void* vmm, uint32_t space, uint64_t address, uint64_t size);
  /** Ends what one `trap` began. */
  void (*untrap)(void* vmm, uint32_t space, uint64_t address, uint64_t size);
  /** Places a BAR of a device with PASSTHRU_BARS_BY_VMM. `decoded` false removes the BAR from the
   * guest: on return no vCPU reaches its memory. An error from a placement undoes the guest's
   * write. An error from a removal keeps the memory mapped in this process; the library removes the
   * BAR again before it places another. The guest chooses the address, which may be one that the
   * VMM cannot map. The callback cannot ask for the BAR's parts: read passthru_device_bar_spans()
   * and passthru_device_bar_info() after the device is opened. They do not change. */
  int (*place_bar)(void* vmm, uint32_t guest_address, uint32_t bar, bool decoded, uint64_t address);

  /** Translates a guest's message in place, for a VMM that emulates interrupt remapping. On error
   * the vector latches its interrupts until passthru_device_retranslate(). Default: the message is
   * that of an x86 guest without interrupt remapping. */
  int (*translate)(void* vmm, uint32_t source, struct passthru_message* message);

  /** Creates a route that delivers `message`. Returns its number in `route`. */
  int (*route_add)(void* vmm, uint32_t source, const struct passthru_message* message,
                   uint32_t* route);
  /** Changes the message of a route. Takes effect for every signal after the return, or after the
   * return of routes_commit if the change is between begin and commit. On error the route keeps its
   * message. */
  int (*route_update)(void* vmm, uint32_t route, const struct passthru_message* message);
  /** Deletes a route that no eventfd uses. Its number may be used again. */
  void (*route_del)(void* vmm, uint32_t route);
  /** Begins a batch of route_add and route_update, up to 2,048 of them. The whole batch runs on one
   * thread, and no route callback of another thread comes between. Optional; for a VMM that gives
   * the hypervisor its whole table at once. */
  void (*routes_begin)(void* vmm);
  /** Makes the batch take effect. On error, all routes are as they were before routes_begin, and
   * those that were added do not exist. */
  int (*routes_commit)(void* vmm);
  /** From now on each signal of `eventfd` delivers the route's message. The VMM owns the counter
   * until irqfd_off. Delivers at once if the counter is not 0. `eventfd` does not block. KVM leaves
   * a counter as it was when the irqfd was added: read it then. Default: the VMM has no irqfd; the
   * library's forwarder calls signal_msi for each interrupt, and needs no routes. */
  int (*irqfd_on)(void* vmm, uint32_t route, int eventfd);
  /** Stops delivery before it returns. */
  void (*irqfd_off)(void* vmm, uint32_t route, int eventfd);
  /** Delivers a message. Must not wait for a thread that is in a call of the library. Without
   * irqfd_on it delivers every interrupt. With irqfd_on it is needed only for vectors that are
   * watched or limited. */
  int (*signal_msi)(void* vmm, uint32_t source, const struct passthru_message* message);

  /** From now on each signal of `eventfd` asserts INTx `pin` (0: INTA#) of the guest's device. At
   * the guest's EOI the VMM deasserts the line and signals `resample`. Default: intx_level is
   * called. */
  int (*intx_on)(void* vmm, uint32_t guest_address, uint32_t pin, int eventfd, int resample);
  /** Stops delivery before it returns. Deasserts the line if no other eventfd asserts it. */
  void (*intx_off)(void* vmm, uint32_t guest_address, uint32_t pin, int eventfd);
  /** Sets the level of INTx `pin`. The VMM reports each EOI with passthru_device_end_of_intx().
   * Must not wait for a thread that is in a call of the library. Default: INTx is not delivered. */
  void (*intx_level)(void* vmm, uint32_t guest_address, uint32_t pin, bool level);

  /** Reports a VFIO file, for KVM's VFIO device. Default: nothing. */
  int (*file_added)(void* vmm, int fd);
  /** Reports the end of a VFIO file, before it is closed. */
  void (*file_removed)(void* vmm, int fd);

  /** Receives an event. Default: nothing. */
  void (*event)(void* vmm, const struct passthru_event* event);
};

/** @} */

#ifdef __cplusplus
}
#endif

#endif
