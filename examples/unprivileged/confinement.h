// SPDX-License-Identifier: MIT
// The steps by which a process of root's becomes one that can do nothing but run its guest.
#pragma once

#include <sys/resource.h>

#include <cstdint>

/// Leaves the terminal's session, and hides other processes, the network, IPC objects and /dev. The
/// caller is the first process of a PID namespace.
void enter_namespaces();

/// Becomes `user`, which may lock `memlock` bytes of memory, without any capability, for good.
void give_up_all_rights(uint32_t user, rlim_t memlock);

/// Has the kernel kill this process when the process of the pidfd ends.
void die_with(int parent_pidfd);
