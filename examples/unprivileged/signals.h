// SPDX-License-Identifier: MIT
// Signals for a guest that has left the terminal's session.
#pragma once

#include <sys/types.h>

#include <csignal>

/// Blocks the signals that end a guest, so that wait_for() loses no signal. Returns the old mask,
/// which the guest's process gets back.
sigset_t hold_signals();

/// Forwards these signals to the child until it ends. Returns its exit status as shells count it.
int wait_for(pid_t child);
