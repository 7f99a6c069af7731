// SPDX-License-Identifier: MIT
// The steps that take all rights from a root process, except the right to run its guest.
#pragma once

#include <sys/resource.h>

#include <cstdint>

/// Leaves the terminal's session, and hides other processes, the network, IPC objects and /dev. The
/// caller must be the first process of a PID namespace.
void enter_namespaces();

/// Becomes `user`, permanently and without any capability. It may lock `memlock` bytes of memory.
void give_up_all_rights(uint32_t user, rlim_t memlock);

/// Makes the kernel kill this process when the process of the pidfd ends.
void die_with(int parent_pidfd);
