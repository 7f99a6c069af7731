// SPDX-License-Identifier: MIT
// Attacks by a guest that broke out of its VMM. Each returns 0 on success, otherwise 1.
#pragma once

#include <sys/types.h>

/// Types a line into the terminal on standard input.
int inject();

/// Takes descriptor 3 of another process.
int take(pid_t victim);

/// Prints its environment.
int print_environment();

/// Ignores all signals that it can, leaves a process behind, and does not exit.
[[noreturn]] int outlive();

/// Makes each system call that the example filters. Returns 0 if the refused calls fail with the
/// filter's errno and the other calls behave as without the filter.
int make_refused_calls();

/// Runs a command as session leader of a new terminal and copies its output to stdout. When the
/// command writes "type TEXT", it types TEXT and a newline. Returns the command's exit status.
int run_on_terminal(char** command);
