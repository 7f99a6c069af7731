// SPDX-License-Identifier: MIT
// The calls of the library from the domain's creation to the device's end. A function that fails
// prints the error.
#ifndef PASSTHRU_TESTS_ASSIGNMENT_H
#define PASSTHRU_TESTS_ASSIGNMENT_H

#include <stdbool.h>

struct vmm;

enum { CHECK_EVERY_MS = 100 };  ///< between two checks of the device

/// Prints an error. Returns false.
bool refused(const char* text);
/// Returns whether a function of the library succeeded. Prints its error otherwise.
bool done(int returned);

/// Creates the domain, as the arguments say, and gives it the guest's RAM.
bool make_domain(struct vmm* vmm);
/// Starts what looks after the devices that are opened next.
bool start_services(struct vmm* vmm);
bool open_device(struct vmm* vmm);
/// Keeps the device's last state in `vmm->summary`, and closes it. vCPUs may run.
bool close_device(struct vmm* vmm);

#endif
