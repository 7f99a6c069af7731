// SPDX-License-Identifier: MIT
// The PC around the device of c_vmm, for C: RAM, a Linux kernel in it, firmware tables, vCPUs, a
// serial console and a PCI bus. vmm/ has all of them. The machine knows nothing of assigned
// devices: an access that none of its parts answers goes to the functions of `machine_vmm`.
#ifndef PASSTHRU_TESTS_MACHINE_H
#define PASSTHRU_TESTS_MACHINE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct machine;

enum {
  MACHINE_DEVICE_SLOT = 1,  ///< of bus 0: the slot whose config space the VMM answers
  MACHINE_FIRST_SLOT = 8,   ///< the first memory slot of KVM that the machine does not use
  MACHINE_PINS = 24,        ///< GSIs below are pins of KVM's PIC and IOAPIC
};

/// The accesses of the guest that the VMM answers. Called on the threads of vCPUs, several at once.
/// An access to memory or ports has 1 to 8 bytes. A read fills all of `data`.
struct machine_vmm {
  void* vmm;  ///< passed to each function
  uint32_t (*config_read)(void* vmm, uint32_t offset, uint32_t width);
  void (*config_write)(void* vmm, uint32_t offset, uint32_t width, uint32_t value);
  void (*mmio_read)(void* vmm, uint64_t address, void* data, size_t size);
  void (*mmio_write)(void* vmm, uint64_t address, const void* data, size_t size);
  void (*port_read)(void* vmm, uint64_t port, void* data, size_t size);
  void (*port_write)(void* vmm, uint64_t port, const void* data, size_t size);
};

struct machine_options {
  const char* kernel;  ///< file: a bzImage, or a vmlinux with a PVH entry
  const char* initrd;  ///< file, or NULL
  const char* append;  ///< the kernel's command line
  uint64_t memory;     ///< bytes, a multiple of 2 MiB
  uint32_t cpus;
};

/// Creates a machine, with everything but the VMM's device. Returns 0 or -errno.
int machine_create(const struct machine_options* options, const struct machine_vmm* vmm,
                   struct machine** machine);
/// Ends the vCPUs and frees the machine. Does nothing if `machine` is NULL.
void machine_destroy(struct machine* machine);
/// Returns the text of the last error of these functions in the calling thread.
const char* machine_last_error(void);

/// Returns the VM's descriptor, which stays the machine's.
int machine_vm_fd(const struct machine* machine);
/// Returns the GSI that INTx `pin` (0: INTA#) of slot `slot` is wired to.
uint32_t machine_intx_gsi(uint32_t slot, uint32_t pin);

/// A range of guest-physical addresses that no BAR may cover.
struct machine_range {
  uint64_t address;
  uint64_t size;
  void* memory;  ///< RAM in this process; NULL: a part of the chipset
};
/// Returns these ranges, which never change.
const struct machine_range* machine_ranges(const struct machine* machine, size_t* count);

/// Starts the vCPUs. The guest's console is written to standard output. Returns 0 or -errno.
int machine_start(struct machine* machine);

enum machine_end {
  MACHINE_POWER_OFF = 0,  ///< the guest switched itself off
  MACHINE_RESET = 1,      ///< the guest asked for a reset
  MACHINE_STOPPED = 2,    ///< machine_stop() was called
};
/// Returns a descriptor that becomes readable when the guest ends. It stays the machine's.
int machine_end_fd(const struct machine* machine);
/// Asks for the end of the guest. Callable from a signal handler.
void machine_stop(struct machine* machine);
/// Ends the vCPUs, and writes the rest of the console. Returns how the guest ended in `end`.
/// Returns 0, or -EIO if a vCPU could not continue.
int machine_join(struct machine* machine, enum machine_end* end);

#ifdef __cplusplus
}
#endif

#endif
