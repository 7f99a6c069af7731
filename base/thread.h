// SPDX-License-Identifier: MIT
// The start of the library's own threads. They block the signals of the process, which are for the
// VMM's threads.
#pragma once

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#include "base/result.h"

namespace passthru {

/// Runs `work` on a new thread. Signals that the thread's own instructions raise are not blocked,
/// because vfio/mmio_read handles SIGBUS there.
///
/// Errors:
/// - EAGAIN: the system has no thread left. The Error's operation is `what`.
template <class Work>
Result<std::thread> start_thread_signals_blocked(const char* what, Work work) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  for (const int fault : {SIGBUS, SIGSEGV, SIGFPE, SIGILL, SIGTRAP}) sigdelset(&all, fault);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  Result<std::thread> started{std::thread()};
  try {
    started = std::thread(std::move(work));
  } catch (const std::system_error& error) {
    started = fail(error.code().value(), what);
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace passthru
