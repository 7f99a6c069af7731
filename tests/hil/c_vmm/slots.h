// SPDX-License-Identifier: MIT
// The memory slots of KVM through which the guest reaches BARs.
#ifndef PASSTHRU_TESTS_SLOTS_H
#define PASSTHRU_TESTS_SLOTS_H

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "tests/hil/c_vmm/machine.h"

enum {
  MAX_SLOTS = 64,
  SLOTS_END = MACHINE_FIRST_SLOT + MAX_SLOTS,  ///< the first memory slot that is not used here
};

/// Memory of this process at a guest address. All numbers are page aligned.
struct mapping {
  uint64_t address;
  uint64_t size;  ///< 0: a free slot
  void* memory;
};

struct slots {
  int vm_fd;
  struct mapping of[MAX_SLOTS];  ///< by slot number, from MACHINE_FIRST_SLOT on
};

/// Maps memory. Returns 0 or -errno; -EEXIST if another slot is in the way.
int slots_add(struct slots* slots, const struct mapping* mapping);
/// Removes the mapping with index `index`. On return no vCPU reaches its memory. Returns 0 or
/// -errno.
int slots_remove(struct slots* slots, size_t index);
/// Returns how many slots are in use.
unsigned slots_used(const struct slots* slots);

// The callbacks of a VMM whose BARs the library places. `vmm` is a struct vmm.

int map_memory(void* vmm, uint64_t address, uint64_t size, void* memory);
int unmap_memory(void* vmm, uint64_t address, uint64_t size);

#endif
