// SPDX-License-Identifier: MIT
// Signals for a guest that has left the terminal's session.
#pragma once

#include <sys/types.h>

#include <csignal>

/// Holds back, from now on, the signals by which a guest is ended, so that none is lost before
/// wait_for(). Returns the mask that was there: the guest's process gets it back.
sigset_t hold_signals();

/// Forwards these signals to the child until it ends. Returns its exit status as shells count it.
int wait_for(pid_t child);
