// SPDX-License-Identifier: MIT
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

// Returns zeros if stdout is not a terminal, or its size is unknown.
winsize size_of_terminal() {
  winsize size{};
  const bool known = ::isatty(STDOUT_FILENO) != 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known ? size : winsize{};
}

}  // namespace

bool is_terminal() {
  return ::isatty(STDOUT_FILENO) != 0;
}

std::optional<size_t> terminal_columns() {
  const winsize size = size_of_terminal();
  return size.ws_col == 0 ? std::nullopt : std::optional<size_t>(size.ws_col);
}

std::optional<size_t> terminal_rows() {
  const winsize size = size_of_terminal();
  return size.ws_row == 0 ? std::nullopt : std::optional<size_t>(size.ws_row);
}

StopFlag::StopFlag() {
  stop_requested = 0;
  struct sigaction action = {};
  action.sa_handler = [](int) { stop_requested = 1; };
  for (const int signal : kSignals) ::sigaction(signal, &action, nullptr);
}

StopFlag::~StopFlag() {
  stop_requested = 0;
  for (const int signal : kSignals) std::signal(signal, SIG_DFL);
}

bool StopFlag::is_set() {
  return stop_requested != 0;
}

SignalsHeld::SignalsHeld() {
  sigset_t held{};
  ::sigemptyset(&held);
  for (const int signal : kSignals) ::sigaddset(&held, signal);
  ::pthread_sigmask(SIG_BLOCK, &held, &before_);
}

SignalsHeld::~SignalsHeld() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
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
  if (::read(STDIN_FILENO, &key, 1) != 1) return 'q';  // end of file
  return key;
}

}  // namespace passthru::tools
