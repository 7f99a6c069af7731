// SPDX-License-Identifier: MIT
// The signal that interrupts a system call of a thread of the VMM: KVM_RUN of a vCPU, or a write to
// an output that nobody reads.
#pragma once

#include "base/result.h"

namespace passthru {

/// For pthread_kill.
int stop_signal();

/// Gives the signal a handler that does nothing. Any number of times, before the first thread that
/// is to be interrupted.
Result<void> install_stop_signal();

/// Lets the signal through to the calling thread, if it was blocked there.
void unblock_stop_signal();

}  // namespace passthru
