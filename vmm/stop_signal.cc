// SPDX-License-Identifier: MIT
// The number of the signal, its handler and its mask.
#include "vmm/stop_signal.h"

#include <pthread.h>

#include <cerrno>
#include <csignal>

namespace passthru {

int stop_signal() {
  return SIGRTMIN;
}

Result<void> install_stop_signal() {
  struct sigaction action = {};
  action.sa_handler = [](int) {};
  // No SA_RESTART: interrupting is the purpose.
  if (::sigaction(stop_signal(), &action, nullptr) != 0)
    return fail(errno, "install a signal handler");
  return {};
}

void unblock_stop_signal() {
  sigset_t signals{};
  ::sigemptyset(&signals);
  ::sigaddset(&signals, stop_signal());
  ::pthread_sigmask(SIG_UNBLOCK, &signals, nullptr);
}

}  // namespace passthru
