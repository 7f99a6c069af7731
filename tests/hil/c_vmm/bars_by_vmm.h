// SPDX-License-Identifier: MIT
// The placement of BARs by the VMM (PASSTHRU_BARS_BY_VMM): the memory slots of their spans, and the
// BAR behind each address of a trapped access.
#ifndef PASSTHRU_TESTS_BARS_BY_VMM_H
#define PASSTHRU_TESTS_BARS_BY_VMM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "passthru/passthru.h"
#include "tests/hil/c_vmm/parts.h"

enum { BARS = 7 };  ///< BARs 0 to 5 and the expansion ROM

struct bar {
  uint64_t size;  ///< 0: the device has no such BAR
  bool ports;
  struct passthru_span* spans;
  size_t span_count;
};

/// The placed BARs in the order in which the guest placed them. If two overlap, the earlier BAR
/// answers.
struct placement {
  size_t count;
  struct placed_bar {
    uint32_t bar;
    uint64_t address;
  } of[BARS];
};

struct bars {
  struct bar of[BARS];  ///< fixed before the guest runs
  /// Protects the rest, and the memory slots. Never held in a call of the library.
  pthread_mutex_t placement_mutex;
  struct placement placement;
  struct parts mmio;   ///< the machine's ranges and the placed BARs
  struct parts ports;  ///< the placed port BARs
};

struct vmm;

/// Reads what the library knows of the BARs, after the device was opened: a callback cannot ask.
/// Returns 0 or -errno.
int bars_learn(struct vmm* vmm);
void bars_forget(struct vmm* vmm);

/// The callback place_bar.
int place_bar(void* vmm, uint32_t guest_address, uint32_t bar, bool decoded, uint64_t address);

/// Forward a trapped access to the BARs at its address.
void bars_read(struct vmm* vmm, const struct parts* space, uint64_t address, void* data,
               size_t size);
void bars_write(struct vmm* vmm, const struct parts* space, uint64_t address, const void* data,
                size_t size);

#endif
