// SPDX-License-Identifier: MIT
// Owns how the library starts a thread of its own: one that takes none of the process's signals,
// which are for the threads of the VMM, but those that its own instructions raise.
#pragma once

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

#include "base/result.h"

namespace passthru {

/// Runs `work` on a new thread. A fault there reaches its handler (vfio/mmio_read): blocked, it
/// would end the process. EAGAIN: none can be had; the operation
/// of the Error is `what`.
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
