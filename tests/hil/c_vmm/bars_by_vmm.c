// SPDX-License-Identifier: MIT
#define _GNU_SOURCE
#include "tests/hil/c_vmm/bars_by_vmm.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/hil/c_vmm/c_vmm.h"

// Beyond these addresses no bus reaches a BAR. Guests put BARs there while they size them.
static const uint64_t mmio_limit = UINT64_C(1) << 52;
static const uint64_t port_limit = UINT64_C(1) << 16;

static int learn_bar(passthru_device* device, uint32_t number, struct bar* bar) {
  struct passthru_bar_info info = {.size = sizeof info};
  int failed = passthru_device_bar_info(device, number, &info);
  if (failed != 0) return failed;
  bar->size = info.bar_size;
  bar->ports = (info.flags & PASSTHRU_BAR_IO) != 0;
  failed = passthru_device_bar_spans(device, number, NULL, &bar->span_count);
  if (failed != -ENOSPC) return failed;  // 0: it has no parts
  bar->spans = calloc(bar->span_count, sizeof *bar->spans);
  if (bar->spans == NULL) return -ENOMEM;
  return passthru_device_bar_spans(device, number, bar->spans, &bar->span_count);
}

int bars_learn(struct vmm* vmm) {
  int failed = 0;
  for (uint32_t bar = 0; bar < BARS && failed == 0; ++bar) {
    failed = learn_bar(vmm->device, bar, &vmm->bars.of[bar]);
  }
  return failed;
}

void bars_forget(struct vmm* vmm) {
  for (uint32_t bar = 0; bar < BARS; ++bar) free(vmm->bars.of[bar].spans);
}

// ---- from addresses to BARs -------------------------------------------------------------------

static void make_spaces(struct vmm* vmm) {
  struct bars* const bars = &vmm->bars;
  bars->mmio.count = bars->ports.count = 0;
  add_machine_ranges(vmm, &bars->mmio);
  for (size_t i = 0; i < bars->placement.count; ++i) {
    const struct placed_bar* const placed = &bars->placement.of[i];
    const struct bar* const bar = &bars->of[placed->bar];
    const uint64_t limit = bar->ports ? port_limit : mmio_limit;
    if (placed->address >= limit || bar->size > limit - placed->address) continue;
    parts_add(bar->ports ? &bars->ports : &bars->mmio, placed->address, bar->size,
              (int)placed->bar);
  }
}

static void remove_placement(struct placement* placement, uint32_t bar) {
  for (size_t i = 0; i < placement->count; ++i) {
    if (placement->of[i].bar != bar) continue;
    --placement->count;
    memmove(&placement->of[i], &placement->of[i + 1],
            (placement->count - i) * sizeof placement->of[0]);
    return;
  }
}

/// Returns the piece of an access that is in one BAR, or in no BAR.
static struct part find_piece(struct vmm* vmm, const struct parts* space, uint64_t address,
                              size_t size) {
  pthread_mutex_lock(&vmm->bars.placement_mutex);
  const struct part piece = parts_find(space, address, size);
  pthread_mutex_unlock(&vmm->bars.placement_mutex);
  return piece;
}

void bars_read(struct vmm* vmm, const struct parts* space, uint64_t address, void* data,
               size_t size) {
  memset(data, 0xFF, size);
  for (size_t done = 0; done < size;) {
    const struct part piece = find_piece(vmm, space, address + done, size - done);
    if (piece.owner != NO_OWNER) {
      (void)passthru_device_bar_read(vmm->device, (uint32_t)piece.owner, piece.offset,
                                     (char*)data + done, piece.size);
    }
    done += piece.size;
  }
}

void bars_write(struct vmm* vmm, const struct parts* space, uint64_t address, const void* data,
                size_t size) {
  for (size_t done = 0; done < size;) {
    const struct part piece = find_piece(vmm, space, address + done, size - done);
    if (piece.owner != NO_OWNER) {
      (void)passthru_device_bar_write(vmm->device, (uint32_t)piece.owner, piece.offset,
                                      (const char*)data + done, piece.size);
    }
    done += piece.size;
  }
}

// ---- from spans to memory slots ---------------------------------------------------------------

/// Cuts the whole pages that a part of a BAR has of a span. Returns false if it has no whole page.
static bool pages_of(const struct part* part, const struct passthru_span* span,
                     struct mapping* mapping) {
  if (span->memory == NULL) return false;
  const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
  const uint64_t part_end = part->offset + part->size, span_end = span->offset + span->size;
  const uint64_t first = part->offset > span->offset ? part->offset : span->offset;
  const uint64_t last = part_end < span_end ? part_end : span_end;
  if (first >= last) return false;
  const uint64_t begin = (part->address + (first - part->offset) + page - 1) / page * page;
  const uint64_t end = (part->address + (last - part->offset)) / page * page;
  if (begin >= end) return false;
  const uint64_t offset = part->offset + (begin - part->address);
  mapping->address = begin;
  mapping->size = end - begin;
  mapping->memory = (char*)span->memory + (offset - span->offset);
  return (uintptr_t)mapping->memory % page == 0;  // otherwise KVM cannot map it there
}

/// Fills `wanted` with the mappings of the placed BARs. Accesses to the others are trapped.
static size_t wanted_mappings(const struct bars* bars, struct mapping wanted[MAX_SLOTS]) {
  size_t count = 0;
  for (size_t i = 0; i < bars->mmio.count; ++i) {
    const struct part* const part = &bars->mmio.of[i];
    if (part->owner == NO_OWNER) continue;
    const struct bar* const bar = &bars->of[part->owner];
    for (size_t span = 0; span < bar->span_count && count < MAX_SLOTS; ++span) {
      if (pages_of(part, &bar->spans[span], &wanted[count])) ++count;
    }
  }
  return count;
}

static bool contains(const struct mapping* mappings, size_t count, const struct mapping* mapping) {
  for (size_t i = 0; i < count; ++i) {
    if (mappings[i].address == mapping->address && mappings[i].size == mapping->size &&
        mappings[i].memory == mapping->memory) {
      return true;
    }
  }
  return false;
}

/// Removes the mappings that the placed BARs do not have any more. Returns the first error.
static int remove_old_mappings(struct slots* slots, const struct mapping* wanted, size_t count) {
  int first_error = 0;
  for (size_t index = 0; index < MAX_SLOTS; ++index) {
    if (slots->of[index].size == 0 || contains(wanted, count, &slots->of[index])) continue;
    const int failed = slots_remove(slots, index);
    if (first_error == 0) first_error = failed;
  }
  return first_error;
}

/// Adds the mappings that are missing. Returns the first error.
static int add_new_mappings(struct slots* slots, const struct mapping* wanted, size_t count) {
  int first_error = 0;
  for (size_t i = 0; i < count; ++i) {
    if (contains(slots->of, MAX_SLOTS, &wanted[i])) continue;
    const int failed = slots_add(slots, &wanted[i]);
    if (first_error == 0) first_error = failed;
  }
  return first_error;
}

/// Maps what the placement says. `must_map`: a mapping that KVM refuses is an error. Otherwise its
/// accesses are trapped.
static int apply_placement(struct vmm* vmm, bool must_map) {
  make_spaces(vmm);
  struct mapping wanted[MAX_SLOTS];
  const size_t count = wanted_mappings(&vmm->bars, wanted);
  const int not_removed = remove_old_mappings(&vmm->slots, wanted, count);
  const int not_added = add_new_mappings(&vmm->slots, wanted, count);
  if (not_removed != 0) return not_removed;
  return must_map ? not_added : 0;
}

int place_bar(void* opaque, uint32_t guest_address, uint32_t bar, bool decoded, uint64_t address) {
  struct vmm* const vmm = opaque;
  struct bars* const bars = &vmm->bars;
  if (guest_address != GUEST_ADDRESS || bar >= BARS) return -EINVAL;
  pthread_mutex_lock(&bars->placement_mutex);
  const struct placement before = bars->placement;
  remove_placement(&bars->placement, bar);
  if (decoded) {
    bars->placement.of[bars->placement.count++] =
        (struct placed_bar){.bar = bar, .address = address};
  }
  const int failed = apply_placement(vmm, decoded);
  if (failed != 0 && decoded) {
    bars->placement = before;
    (void)apply_placement(vmm, false);  // what KVM refuses now is trapped
  }
  pthread_mutex_unlock(&bars->placement_mutex);
  if (failed == 0) COUNT(vmm, place_bar);
  return failed;
}
