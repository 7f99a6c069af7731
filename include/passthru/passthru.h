/* SPDX-License-Identifier: MIT
 *
 * passthru.h - PCI devices for guests: the C interface of libpassthru, for C99, C++ and any
 * language that calls C.
 *
 * A VMM creates a domain for each VM and opens devices in it. The library maps BARs, mediates
 * MSI-X, routes interrupts and restores them. The VMM forwards its guest's accesses, and implements
 * the callbacks that it needs.
 *
 * Rules for all functions:
 *
 * - A function that returns `int` returns 0, or -errno. passthru_last_error() then returns a text.
 *   If a function fails, nothing has changed unless its description says otherwise.
 * - Every struct begins with its `size`. Set it to sizeof the struct, and every member that you do
 *   not use to 0. A struct of an older version is accepted. A longer struct is accepted if all
 *   bytes that the library does not know are 0; otherwise the function returns -E2BIG.
 * - Any thread may call any function at any time. Handles are never used again: a call with a
 * handle that does not exist any more returns -EINVAL.
 * - A callback must not call the library, except passthru_version() and passthru_last_error().
 *   Other functions then return -EDEADLK and do nothing.
 *
 * docs/embedding.md says which locks are held during each callback.
 */
#ifndef PASSTHRU_PASSTHRU_H
#define PASSTHRU_PASSTHRU_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <passthru/version.h>

#ifdef __cplusplus
extern "C" {
#endif

#if defined(__GNUC__)
#define PASSTHRU_API __attribute__((visibility("default")))
#else
#define PASSTHRU_API
#endif

/** Returns the address of a function in the guest, as the members `guest_address` have it. */
#define PASSTHRU_GUEST_ADDRESS(bus, device, function) \
  (((uint32_t)(bus) << 8) | ((uint32_t)(device) << 3) | (uint32_t)(function))

/** The devices' side of one VM. */
typedef struct passthru_domain passthru_domain;
/** An assigned device. */
typedef struct passthru_device passthru_device;

/** @defgroup passthru_basics Version and errors
 * @{ */

/** Returns the version of the library that runs, as PASSTHRU_MAKE_VERSION makes it.
 *
 * Since: 0.2
 */
PASSTHRU_API uint32_t passthru_version(void);

/** Returns the text of the last error in the calling thread: "DEVICE: cannot VERB OBJECT: cause.
 * Advice". Returns "" if no call of this thread has failed. The text is valid until the next call
 * of the library in this thread.
 *
 * Since: 0.2
 */
PASSTHRU_API const char* passthru_last_error(void);

/** Frees a text that the library returned. Does nothing if `text` is NULL.
 *
 * Since: 0.2
 */
PASSTHRU_API void passthru_free(char* text);

/** @} */

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
  PASSTHRU_EVENT_DEVICE_SILENT = 9,   /**< it does not answer; its BARs have left for now */
  PASSTHRU_EVENT_DEVICE_ANSWERS = 10, /**< it answers again, and its BARs are back */
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
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_create(const struct passthru_callbacks* callbacks, void* vmm,
                                        const struct passthru_domain_options* options,
                                        passthru_domain** domain);

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
 * - ENOTSUP: this KVM lacks irqfd, routing or KVM_SIGNAL_MSI.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_create_kvm(const struct passthru_kvm_options* options,
                                            const struct passthru_callbacks* callbacks, void* vmm,
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
 * - EBUSY: the domain has an iommufd or container already.
 * - EINVAL: the descriptor is of another file.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_use_iommufd(passthru_domain* domain, int fd);
PASSTHRU_API int passthru_domain_use_container(passthru_domain* domain, int fd);

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

/** @defgroup passthru_device Devices
 * @{ */

/** Flags of passthru_device_options. */
enum {
  /** Assigns the device even without interrupt remapping. The guest could then forge interrupts of
   * the host. */
  PASSTHRU_ALLOW_UNSAFE_INTERRUPTS = 1 << 0,
  /** The VMM places the BARs: the library calls place_bar, and the VMM maps
   * passthru_device_bar_spans() and forwards accesses to passthru_device_bar_read() and
   * passthru_device_bar_write(). */
  PASSTHRU_BARS_BY_VMM = 1 << 1,
  /** Reports an unplug request as an event, and leaves the device to the VMM, which closes it.
   * Without this flag the library detaches the device at once. */
  PASSTHRU_REPORT_UNPLUG = 1 << 2,
  /** The guest sees no expansion ROM. */
  PASSTHRU_NO_ROM = 1 << 3,
  /** `cdev_fd` is the device's own node, /dev/vfio/devices/vfioN. The library uses a
   * copy; close yours. */
  PASSTHRU_USE_CDEV_FD = 1 << 4,
  /** `group_fd` is the device's group, /dev/vfio/N. The library uses a copy; close yours.
   */
  PASSTHRU_USE_GROUP_FD = 1 << 5,
  /** Does not reset the device, which goes on from a saved state: call passthru_device_state_load()
   * next. */
  PASSTHRU_KEEP_STATE = 1 << 6,
  /** The library never resets the device: neither at its open, nor for the guest, nor with the VM,
   * nor at its close. The guest finds the state that the device's last user left, data included. It
   * finds no function-level reset. An event PASSTHRU_EVENT_DEVICE_LIMITED warns of this. The kernel
   * resets the device by itself at its first open and its last close, unless its file
   * `reset_method` in sysfs is empty. */
  PASSTHRU_NO_RESET = 1 << 7,
};

/** How the device is opened. */
enum passthru_backend {
  PASSTHRU_BACKEND_AUTO = 0,  /**< by its own node if it has one, otherwise by its group */
  PASSTHRU_BACKEND_GROUP = 1, /**< through its IOMMU group and a container */
  PASSTHRU_BACKEND_CDEV = 2,  /**< through its own node and an iommufd */
};

/** Where the guest finds the MSI-X table. */
enum passthru_msix {
  PASSTHRU_MSIX_IN_PLACE = 0, /**< where the device has it */
  PASSTHRU_MSIX_AUTO = 1,     /**< elsewhere, if registers may share its page and there is room */
  PASSTHRU_MSIX_BAR = 2,      /**< in BAR `msix_bar` */
};

/** How a device is assigned. */
struct passthru_device_options {
  uint32_t size;          /**< sizeof the struct */
  uint32_t flags;         /**< a set of flags of passthru_device_options */
  const char* device;     /**< "0000:01:00.0"; NULL if `cdev_fd` says which device it is */
  uint32_t guest_address; /**< in the guest: bus << 8 | device << 3 | function */
  uint32_t backend;       /**< enum passthru_backend */
  int32_t cdev_fd;        /**< with PASSTHRU_USE_CDEV_FD */
  int32_t group_fd;       /**< with PASSTHRU_USE_GROUP_FD */
  const char* vf_token;   /**< a UUID, or NULL; for virtual functions and their physical function */
  const char* rom_file;   /**< the guest's expansion ROM; NULL: the device's own */
  uint32_t msix;          /**< enum passthru_msix */
  uint32_t msix_bar;      /**< 0 to 5, with PASSTHRU_MSIX_BAR */
  uint32_t unmapped_bars; /**< BARs whose accesses are all trapped: bit n for BAR n */
  uint32_t max_interrupts_per_second; /**< of each vector; 0: no limit */
  uint32_t response_timeout_ms;       /**< how long a device may answer all ones: at its open, and
                                           until it is detached; 0: 1,000 ms, and 60,000 ms */
  uint32_t reserved;                  /**< 0 */
};

/** Opens a device, gives it the guest's memory, and resets it. A device without a reset of its own
 * is reset with its slot or bus, if the domain owns the IOMMU groups of all devices there and the
 * guest uses none of them. Otherwise an event PASSTHRU_EVENT_DEVICE_LIMITED says why it was not
 * reset, and names the device that prevents it.
 *
 * Errors of the device:
 * - ENOENT: it does not exist.
 * - ENODEV: it is not bound to vfio-pci.
 * - EBUSY: another process uses it, or this domain has it already.
 * - EPERM: its group is not viable, or interrupt remapping is missing.
 * - EACCES: no permission on /dev/vfio, or the VF token is wrong.
 * - ENOMEM: RLIMIT_MEMLOCK is too small.
 * - ENOTSUP: it has no node of its own, or the node takes no token.
 * - EIO: it answers all ones.
 * - EAGAIN, EBUSY: the host held the device for 0.5 s, so it could not be reset.
 *
 * Errors of the options:
 * - EINVAL: a pointer is NULL, a flag or value is unknown, or an address is malformed.
 * - EINVAL: PASSTHRU_BARS_BY_VMM without a place_bar callback.
 * - EINVAL, ENOSPC: MSI-X cannot be in the chosen place.
 * - EFBIG: the ROM file is too large. Other errors of reading it.
 * - E2BIG: the struct has members that this version does not know.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_open(passthru_domain* domain,
                                      const struct passthru_device_options* options,
                                      passthru_device** device);

/** Takes the device from the guest, resets it, closes it, and frees the handle. Waits for calls
 * under way in other threads. vCPUs may run; they then find an empty slot.
 *
 * Errors:
 * - EINVAL: the device does not exist.
 * - EDEADLK: called from a callback.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_close(passthru_device* device);

/** Reads or writes the config space that the guest sees. `offset` is below 4096, `width` is 1, 2 or
 * 4. Registers of a device that is gone read as all ones.
 *
 * Errors:
 * - EINVAL: the handle, the offset or the width is wrong. `*value` is all ones.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_config_read(passthru_device* device, uint32_t offset,
                                             uint32_t width, uint32_t* value);
PASSTHRU_API int passthru_device_config_write(passthru_device* device, uint32_t offset,
                                              uint32_t width, uint32_t value);

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

/** Resets the device, and what the guest sees of it. No vCPU may run meanwhile.
 *
 * Errors:
 * - ENODEV: the device was detached, or nothing resets it.
 * - EPERM: its slot or bus has another device that is used; see passthru_domain_reset().
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_reset(passthru_device* device);

/** @} */

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

/** @defgroup passthru_inspect Inspection
 * @{ */

/** Returns the state of a device as a JSON document (docs/json.md), to be freed with
 * passthru_free().
 *
 * Errors:
 * - ENOMEM: no memory.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_device_inspect_json(passthru_device* device, char** json);

/** Flags of passthru_domain_inspect_serve(). */
enum {
  /** Starts no thread: the VMM polls passthru_domain_inspect_fd(). */
  PASSTHRU_INSPECT_OWN_LOOP = 1 << 0,
};

/** Serves the inspect socket (docs/inspect.md), through which the command `passthru` sees the
 * domain's devices, also those that are opened later. `path` NULL: the default path. The socket
 * ends with the domain.
 *
 * Errors:
 * - EBUSY: the domain serves a socket already.
 * - EADDRINUSE: another process serves this socket.
 * - EEXIST: the path exists and is not a socket.
 * - ENAMETOOLONG: the path has more than 107 bytes.
 * - ENOENT, EACCES: of the directory.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_serve(passthru_domain* domain, const char* path,
                                               uint32_t flags);
/** Returns the descriptor to poll for input of a socket that is served with
 * PASSTHRU_INSPECT_OWN_LOOP. It stays the library's.
 *
 * Errors:
 * - ENOENT: the domain serves no such socket.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_fd(passthru_domain* domain, int* fd);
/** Answers the requests that have arrived. Waits for no client.
 *
 * Errors:
 * - ENOENT: the domain serves no such socket.
 *
 * Since: 0.2
 */
PASSTHRU_API int passthru_domain_inspect_run(passthru_domain* domain);

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

/** @} */

#ifdef __cplusplus
}
#endif

#endif
