// SPDX-License-Identifier: MIT
// The accesses of the guest that the machine does not answer: config space of the device, memory
// and ports. They go to the library, or by way of the VMM's own placement of BARs.
#ifndef PASSTHRU_TESTS_GUEST_ACCESSES_H
#define PASSTHRU_TESTS_GUEST_ACCESSES_H

#include "tests/hil/c_vmm/machine.h"

struct vmm;

/// Returns the functions for a machine.
struct machine_vmm guest_accesses(struct vmm* vmm);

#endif
