// SPDX-License-Identifier: MIT
// The parts of an address space in ascending order: which range an address belongs to, if ranges
// overlap. A value without effects.
#ifndef PASSTHRU_TESTS_PARTS_H
#define PASSTHRU_TESTS_PARTS_H

#include <stddef.h>
#include <stdint.h>

enum {
  MAX_PARTS = 64,  ///< enough for 32 ranges: n ranges have at most 2n - 1 parts
  NO_OWNER = -1,
};

/// A part of a range.
struct part {
  uint64_t address;
  uint64_t size;
  int owner;        ///< of the range
  uint64_t offset;  ///< of the part in its range
};

struct parts {
  size_t count;
  struct part of[MAX_PARTS];
};

/// Adds the addresses of a range that no earlier range covers.
void parts_add(struct parts* parts, uint64_t address, uint64_t size, int owner);

/// Returns the longest piece from `address` on that is in one part, or outside of all parts, and
/// has at most `size` bytes. Its owner is NO_OWNER outside.
struct part parts_find(const struct parts* parts, uint64_t address, uint64_t size);

#endif
