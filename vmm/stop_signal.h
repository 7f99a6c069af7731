// SPDX-License-Identifier: MIT
// The signal that interrupts a system call of a thread of the VMM: KVM_RUN of a vCPU, or a write to
// an output that nobody reads.
#pragma once

#include "base/result.h"

namespace passthru {

/// Returns its number, for pthread_kill.
int stop_signal();

/// Installs a handler that does nothing. Call it, any number of times, before the start of the
/// first thread that the signal must interrupt.
Result<void> install_stop_signal();

/// Unblocks the signal in the calling thread.
void unblock_stop_signal();

}  // namespace passthru
