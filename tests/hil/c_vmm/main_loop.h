// SPDX-License-Identifier: MIT
// The main thread of c_vmm while the guest runs.
#ifndef PASSTHRU_TESTS_MAIN_LOOP_H
#define PASSTHRU_TESTS_MAIN_LOOP_H

struct vmm;

/// Returns when the guest has ended. Closes the device if the host asks for it; the guest goes on.
/// With `own_loop` it also audits the device and delivers the interrupts of the forwarder.
void main_loop(struct vmm* vmm);

#endif
