// SPDX-License-Identifier: MIT
// The state of c_vmm, which all of its callbacks get.
#ifndef PASSTHRU_TESTS_C_VMM_H
#define PASSTHRU_TESTS_C_VMM_H

#include <pthread.h>
#include <stdbool.h>

#include "passthru/passthru.h"
#include "tests/hil/c_vmm/arguments.h"
#include "tests/hil/c_vmm/bars_by_vmm.h"
#include "tests/hil/c_vmm/kvm_calls.h"
#include "tests/hil/c_vmm/machine.h"
#include "tests/hil/c_vmm/own_routes.h"
#include "tests/hil/c_vmm/parts.h"
#include "tests/hil/c_vmm/slots.h"

/// The guest's address of the device: bus 0, slot, function 0.
enum { GUEST_ADDRESS = MACHINE_DEVICE_SLOT << 3 };

/// How many calls of each callback have succeeded.
struct counts {
  unsigned map, unmap, place_bar;
  unsigned route_add, route_update, route_del, routes_commit;
  unsigned irqfd_on, irqfd_off, signal_msi, intx_on, intx_off;
  unsigned file_added, file_removed, restore_events;
};
#define COUNT(vmm, name) ((void)__atomic_fetch_add(&(vmm)->counts.name, 1u, __ATOMIC_RELAXED))

struct vmm {
  struct arguments arguments;
  struct machine* machine;
  passthru_domain* domain;
  /// Fixed before the guest runs. After the device's end, calls with it fail and do nothing.
  passthru_device* device;
  bool device_open;
  int unplug_fd;     ///< eventfd: the host asks for the device back
  int forwarder_fd;  ///< of a forwarder that the main thread drives; -1 otherwise
  char* summary;     ///< the device's last state as JSON

  pthread_mutex_t slots_mutex;  ///< protects `slots` while the library places the BARs
  struct slots slots;
  struct bars bars;
  struct routes routes;
  struct kvm_calls kvm_calls;
  struct counts counts;
};

/// Adds the addresses at which the machine hides BARs.
void add_machine_ranges(const struct vmm* vmm, struct parts* parts);

#endif
