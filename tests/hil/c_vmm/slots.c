// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/slots.h"

#include <errno.h>
#include <linux/kvm.h>
#include <sys/ioctl.h>

#include "tests/hil/c_vmm/c_vmm.h"
#include "tests/hil/c_vmm/parts.h"

/// Sets a slot. Size 0 removes it: KVM then flushes every vCPU before it returns.
static int set_slot(const struct slots* slots, size_t index, const struct mapping* mapping,
                    uint64_t size) {
  struct kvm_userspace_memory_region region = {
      .slot = MACHINE_FIRST_SLOT + (uint32_t)index,
      .guest_phys_addr = mapping->address,
      .memory_size = size,
      .userspace_addr = (uintptr_t)mapping->memory,
  };
  return ioctl(slots->vm_fd, KVM_SET_USER_MEMORY_REGION, &region) < 0 ? -errno : 0;
}

int slots_add(struct slots* slots, const struct mapping* mapping) {
  for (size_t index = 0; index < MAX_SLOTS; ++index) {
    if (slots->of[index].size != 0) continue;
    const int failed = set_slot(slots, index, mapping, mapping->size);
    if (failed == 0) slots->of[index] = *mapping;
    return failed;
  }
  return -ENOSPC;
}

int slots_remove(struct slots* slots, size_t index) {
  const int failed = set_slot(slots, index, &slots->of[index], 0);
  if (failed == 0) slots->of[index] = (struct mapping){0};
  return failed;
}

unsigned slots_used(const struct slots* slots) {
  unsigned used = 0;
  for (size_t index = 0; index < MAX_SLOTS; ++index) used += slots->of[index].size != 0;
  return used;
}

/// Removes all slots in a range. Returns the first error; the other slots are removed all the same.
static int remove_range(struct slots* slots, uint64_t address, uint64_t size) {
  int first_error = 0;
  for (size_t index = 0; index < MAX_SLOTS; ++index) {
    const struct mapping* const slot = &slots->of[index];
    if (slot->size == 0 || slot->address < address || slot->address - address >= size) continue;
    const int failed = slots_remove(slots, index);
    if (first_error == 0) first_error = failed;
  }
  return first_error;
}

// The library does not know the addresses of the machine's RAM and chipset, and a guest may put a
// BAR on top of them. On a real bus they hide the BAR there, so only the rest of it is mapped.
int map_memory(void* opaque, uint64_t address, uint64_t size, void* memory) {
  struct vmm* const vmm = opaque;
  enum { MAPPED = 0 };
  struct parts parts = {0};
  add_machine_ranges(vmm, &parts);
  parts_add(&parts, address, size, MAPPED);

  int failed = 0;
  pthread_mutex_lock(&vmm->slots_mutex);
  for (size_t i = 0; i < parts.count && failed == 0; ++i) {
    const struct part* const part = &parts.of[i];
    if (part->owner != MAPPED) continue;
    const struct mapping mapping = {
        .address = part->address, .size = part->size, .memory = (char*)memory + part->offset};
    failed = slots_add(&vmm->slots, &mapping);
  }
  if (failed != 0) (void)remove_range(&vmm->slots, address, size);  // they were added just now
  pthread_mutex_unlock(&vmm->slots_mutex);
  if (failed == 0) COUNT(vmm, map);
  return failed;
}

int unmap_memory(void* opaque, uint64_t address, uint64_t size) {
  struct vmm* const vmm = opaque;
  pthread_mutex_lock(&vmm->slots_mutex);
  const int failed = remove_range(&vmm->slots, address, size);
  pthread_mutex_unlock(&vmm->slots_mutex);
  if (failed == 0) COUNT(vmm, unmap);
  return failed;
}
