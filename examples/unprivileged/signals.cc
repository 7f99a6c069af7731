// SPDX-License-Identifier: MIT
// Signals for a guest that has left the terminal's session: Ctrl-C, Ctrl-\ and the terminal's end
// reach only the parent, which forwards them.
#include "signals.h"

#include <sys/wait.h>

#include "must.h"

namespace {

sigset_t awaited() {
  sigset_t set;
  ::sigemptyset(&set);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD}) ::sigaddset(&set, signal);
  return set;
}

}  // namespace

sigset_t hold_signals() {
  const sigset_t held = awaited();
  sigset_t before;
  must(::sigprocmask(SIG_BLOCK, &held, &before) == 0, "block signals");
  // The caller may have ignored it. Then the kernel keeps no exit status.
  must(std::signal(SIGCHLD, SIG_DFL) != SIG_ERR, "set the handler of SIGCHLD");
  return before;
}

int wait_for(pid_t child) {
  const sigset_t set = awaited();
  for (;;) {
    const int signal = ::sigwaitinfo(&set, nullptr);
    if (signal > 0 && signal != SIGCHLD) ::kill(child, signal);
    int status = 0;
    // The first process of a PID namespace also becomes the parent of orphans.
    for (pid_t ended = 0; (ended = ::waitpid(-1, &status, WNOHANG)) > 0;) {
      if (ended == child) return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
  }
}
