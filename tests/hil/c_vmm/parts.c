// SPDX-License-Identifier: MIT
#include "tests/hil/c_vmm/parts.h"

#include <assert.h>
#include <string.h>

static uint64_t smaller(uint64_t a, uint64_t b) {
  return a < b ? a : b;
}

/// Returns the index of the first part that ends after `address`.
static size_t first_after(const struct parts* parts, uint64_t address) {
  size_t low = 0, high = parts->count;
  while (low < high) {
    const size_t middle = low + (high - low) / 2;
    if (parts->of[middle].address + parts->of[middle].size <= address) {
      low = middle + 1;
    } else {
      high = middle;
    }
  }
  return low;
}

void parts_add(struct parts* parts, uint64_t address, uint64_t size, int owner) {
  const uint64_t end = address + size;
  uint64_t at = address;
  while (at < end) {
    const size_t next = first_after(parts, at);
    struct part* const place = &parts->of[next];
    const uint64_t free_end = next < parts->count ? smaller(place->address, end) : end;
    if (at < free_end) {
      assert(parts->count < MAX_PARTS);
      memmove(place + 1, place, (parts->count - next) * sizeof *place);
      ++parts->count;
      *place = (struct part){
          .address = at, .size = free_end - at, .owner = owner, .offset = at - address};
      at = free_end;
    } else {
      at = place->address + place->size;
    }
  }
}

struct part parts_find(const struct parts* parts, uint64_t address, uint64_t size) {
  const size_t next = first_after(parts, address);
  struct part piece = {.address = address, .size = size, .owner = NO_OWNER};
  if (next == parts->count) return piece;
  const struct part* const part = &parts->of[next];
  if (address < part->address) {
    piece.size = smaller(size, part->address - address);
    return piece;
  }
  piece.size = smaller(size, part->address + part->size - address);
  piece.owner = part->owner;
  piece.offset = part->offset + (address - part->address);
  return piece;
}
