// SPDX-License-Identifier: MIT
// Owns the modes of the terminal.
#include "tools/terminal.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <array>
#include <csignal>
#include <cstdio>

namespace passthru::tools {
namespace {

volatile std::sig_atomic_t stop_requested = 0;
constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};

}  // namespace

bool is_terminal() {
  return ::isatty(STDOUT_FILENO) != 0;
}

std::optional<size_t> terminal_columns() {
  winsize size{};
  if (!is_terminal() || ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col == 0) {
    return std::nullopt;
  }
  return size.ws_col;
}

StopFlag::StopFlag() {
  struct sigaction action {};
  action.sa_handler = [](int) { stop_requested = 1; };
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
}

StopFlag::~StopFlag() {
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
}

bool StopFlag::is_set() {
  return stop_requested != 0;
}

Terminal::Terminal(bool wanted) {
  termios now{};
  if (!wanted || !is_terminal() || ::tcgetattr(STDIN_FILENO, &now) != 0) return;
  before_ = now;
  now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &now);
  fmt::print("\x1b[?1049h");
}

Terminal::~Terminal() {
  if (!before_) return;
  fmt::print("\x1b[?1049l");
  std::fflush(stdout);
  ::tcsetattr(STDIN_FILENO, TCSANOW, &*before_);
}

std::optional<char> Terminal::key(std::chrono::milliseconds wait) {
  pollfd ready{.fd = before_ ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, static_cast<int>(wait.count())) <= 0) return std::nullopt;
  char key = 0;
  if (::read(STDIN_FILENO, &key, 1) != 1) return 'q';  // nobody will press one any more
  return key;
}

}  // namespace passthru::tools
