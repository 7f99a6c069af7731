// SPDX-License-Identifier: MIT
#include "vfio/mmio_read.h"

#include <ucontext.h>

#include <atomic>
#include <csetjmp>
#include <csignal>

namespace passthru {
namespace {

thread_local constinit sigjmp_buf* way_back = nullptr;  // while this thread is in try_read_mmio
struct sigaction previous = {};

/// Does what the process would do without this handler. The default action and "ignore" take effect
/// on return, when the access that faulted is repeated.
void pass_on(int signal, siginfo_t* info, void* context) {
  if ((previous.sa_flags & SA_SIGINFO) != 0) {
    previous.sa_sigaction(signal, info, context);
  } else if (previous.sa_handler != SIG_DFL && previous.sa_handler != SIG_IGN) {
    previous.sa_handler(signal);
  } else {
    sigaction(SIGBUS, &previous, nullptr);
    if (info->si_code <= 0) raise(SIGBUS);  // a process sent it: no access is repeated
  }
}

void on_sigbus(int signal, siginfo_t* info, void* context) {
  const bool is_fault = info->si_code > 0;
  if (is_fault && way_back != nullptr) {
    // Otherwise SIGBUS would stay blocked after the jump, and the next fault would be fatal.
    pthread_sigmask(SIG_SETMASK, &static_cast<ucontext_t*>(context)->uc_sigmask, nullptr);
    siglongjmp(*way_back, 1);
  }
  pass_on(signal, info, context);
}

bool install_handler() {
  struct sigaction action = {};
  action.sa_sigaction = on_sigbus;
  action.sa_flags = SA_SIGINFO | SA_ONSTACK;
  return sigaction(SIGBUS, nullptr, &previous) == 0 && sigaction(SIGBUS, &action, nullptr) == 0;
}

/// Lets a fault on this thread reach the handler; a blocked fault would end the process. Costs two
/// system calls on a thread that blocks SIGBUS, and nothing on any other thread.
class OpenToSigbus {
 public:
  OpenToSigbus() {
    if (this_thread == State::Unknown) this_thread = is_blocked() ? State::Blocks : State::Open;
    if (this_thread == State::Blocks) change(SIG_UNBLOCK);
  }
  ~OpenToSigbus() {
    if (this_thread == State::Blocks) change(SIG_BLOCK);
  }
  OpenToSigbus(const OpenToSigbus&) = delete;
  OpenToSigbus& operator=(const OpenToSigbus&) = delete;

 private:
  enum class State { Unknown, Open, Blocks };

  static bool is_blocked() {
    sigset_t now;
    sigemptyset(&now);
    pthread_sigmask(SIG_SETMASK, nullptr, &now);
    return sigismember(&now, SIGBUS) == 1;
  }
  static void change(int how) {
    sigset_t sigbus;
    sigemptyset(&sigbus);
    sigaddset(&sigbus, SIGBUS);
    pthread_sigmask(how, &sigbus, nullptr);
  }

  static thread_local constinit State this_thread;
};
thread_local constinit OpenToSigbus::State OpenToSigbus::this_thread = OpenToSigbus::State::Unknown;

/// A separate function, so that its caller keeps no state in registers that the jump would lose.
[[gnu::noinline]] void load(const std::byte* memory, std::span<uint32_t> words) {
  const auto* source = reinterpret_cast<const volatile uint32_t*>(memory);
  for (uint32_t& word : words) word = *source++;
}

}  // namespace

bool try_read_mmio(const std::byte* memory, std::span<uint32_t> words) {
  static const bool installed = install_handler();
  const OpenToSigbus open;
  sigjmp_buf here;
  if (!installed || sigsetjmp(here, 0) != 0) {
    way_back = nullptr;
    return false;
  }
  way_back = &here;
  // The compiler must not move a load to a point where `way_back` is not set.
  std::atomic_signal_fence(std::memory_order_seq_cst);
  load(memory, words);
  std::atomic_signal_fence(std::memory_order_seq_cst);
  way_back = nullptr;
  return true;
}

}  // namespace passthru
