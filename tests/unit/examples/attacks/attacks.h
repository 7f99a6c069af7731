// SPDX-License-Identifier: MIT
// What a guest that broke its VMM would try. An attack returns 0 when it succeeds, otherwise 1.
#pragma once

#include <sys/types.h>

/// Types a line into the terminal that is its standard input.
int inject();

/// Takes descriptor 3 of another process.
int take(pid_t victim);

/// Prints the environment that it got.
int print_environment();

/// Ignores all signals that can be ignored, leaves a process behind, and does not end.
[[noreturn]] int outlive();

/// Has the kernel refuse system calls as the example does, and makes each. Here 0 means that the
/// refused ones failed with the errno that the filter gives, and the others as before.
int make_refused_calls();

/// Runs a command as the first process of a new terminal's session, copies what it writes to
/// stdout, and types TEXT when it writes "type TEXT", a line. Returns the command's exit status.
int run_on_terminal(char** command);
