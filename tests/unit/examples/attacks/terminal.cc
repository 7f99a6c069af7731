// SPDX-License-Identifier: MIT
// A terminal with a simulated user, for tests.
#include <pty.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>

#include "attacks.h"

namespace {

// Types "^C" and "^\\" as keys, and other text as a line.
void type(int terminal, const std::string& text) {
  const std::string keys = text == "^C" ? "\x03" : text == "^\\" ? "\x1c" : text + '\n';
  if (::write(terminal, keys.data(), keys.size()) < 0) std::perror("type");
}

}  // namespace

int run_on_terminal(char** command) {
  int terminal = -1;
  const pid_t child = ::forkpty(&terminal, nullptr, nullptr, nullptr);
  if (child == 0) {
    ::execvp(command[0], command);
    std::perror(command[0]);
    ::_exit(127);
  }
  std::string line;
  std::array<char, 256> bytes{};
  // The read fails when no process has the terminal open.
  for (ssize_t got = 0; (got = ::read(terminal, bytes.data(), bytes.size())) > 0;) {
    for (ssize_t i = 0; i < got; ++i) {
      const char byte = bytes[static_cast<size_t>(i)];
      if (byte == '\r') continue;
      if (byte != '\n') {
        line += byte;
        continue;
      }
      std::puts(line.c_str());
      if (line.starts_with("type ")) type(terminal, line.substr(5));
      line.clear();
    }
  }
  if (!line.empty()) std::puts(line.c_str());
  int status = 0;
  ::waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}
