/* SPDX-License-Identifier: MIT
 *
 * device.h - devices: open, close, config space, reset.
 */
#ifndef PASSTHRU_DEVICE_H
#define PASSTHRU_DEVICE_H

#include <stdint.h>

#include <passthru/basics.h>

#ifdef __cplusplus
extern "C" {
#endif

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
 * - EEXIST: the domain serves the inspect socket, and an old handle of the device is still open.
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
 * - EBADF: a descriptor is not open.
 * - EINVAL, ENOSPC: MSI-X cannot be in the chosen place.
 * - ENFILE: this process has 4,096 devices.
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

#ifdef __cplusplus
}
#endif

#endif
