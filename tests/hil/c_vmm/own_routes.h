// SPDX-License-Identifier: MIT
// KVM's table of interrupt routes, owned by the VMM: the pins of KVM's PIC and IOAPIC, and the MSI
// routes of the device. KVM takes only whole tables, so a batch of changes costs one call.
#ifndef PASSTHRU_TESTS_OWN_ROUTES_H
#define PASSTHRU_TESTS_OWN_ROUTES_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "passthru/passthru.h"

enum { MAX_ROUTES = 2048 };  ///< the vectors that a device with MSI-X can have

struct route {
  bool used;
  struct passthru_message message;
};

struct routes {
  int vm_fd;
  /// Protects the rest. Recursive, and held during a batch: changes of another thread wait until
  /// its end.
  pthread_mutex_t table_mutex;
  bool in_batch;
  bool changed;  ///< in this batch
  struct route of[MAX_ROUTES];
  struct route before[MAX_ROUTES];  ///< at the begin of the batch
};

void routes_init(struct routes* routes, int vm_fd);
/// Returns how many routes are in use.
unsigned routes_used(const struct routes* routes);
/// Returns the GSI of a route.
uint32_t route_gsi(uint32_t route);

// The callbacks. `vmm` is a struct vmm.

int route_add(void* vmm, uint32_t source, const struct passthru_message* message, uint32_t* route);
int route_update(void* vmm, uint32_t route, const struct passthru_message* message);
void route_del(void* vmm, uint32_t route);
void routes_begin(void* vmm);
int routes_commit(void* vmm);

#endif
