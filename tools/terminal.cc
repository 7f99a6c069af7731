// SPDX-License-Identifier: MIT
#include "tools/terminal.h"

#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <string_view>

namespace passthru::tools {
namespace {

volatile std::sig_atomic_t stop_requested = 0;

// Returns zeros if stdout is not a terminal, or its size is unknown.
winsize size_of_terminal() {
  winsize size{};
  const bool known = ::isatty(STDOUT_FILENO) != 0 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0;
  return known ? size : winsize{};
}

// ---- The terminal of the live view. Signal handlers use it, so it is global.

// | from          | event                                                     | to     |
// |---------------|-----------------------------------------------------------|--------|
// | Given, Unsure | take_screen(), in the foreground                          | Taken  |
// | Taken         | SIGCONT: during a SIGSTOP, the shell set its own modes    | Unsure |
// | Taken, Unsure | give_screen_back(): SIGTSTP, SIGQUIT, the end of the view | Given  |
enum ScreenState : std::sig_atomic_t { Given, Taken, Unsure };
volatile std::sig_atomic_t screen_state = Given;
volatile std::sig_atomic_t redraw_requested = 0;
bool has_modes = false;  // standard input is a terminal
termios modes_before{};
termios modes_during{};

constexpr std::string_view kOwnScreen = "\x1b[?1049h";
// A stop can come within a highlighted line: ends its colours too.
constexpr std::string_view kScreenBefore = "\x1b[m\x1b[?1049l";
constexpr const char* kClearScreen = "\x1b[2J\x1b[H";

void write_now(std::string_view text) {
  [[maybe_unused]] const ssize_t written = ::write(STDOUT_FILENO, text.data(), text.size());
}

// Leaves the modes in the background: the shell has set its own, and a change would stop the
// process.
void give_screen_back() {
  const pid_t foreground = ::tcgetpgrp(STDIN_FILENO);
  if (has_modes && (foreground < 0 || foreground == ::getpgrp())) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &modes_before);
  }
  if (screen_state != Given) write_now(kScreenBefore);
  screen_state = Given;
}

// In the background, the first call stops the process until it is in the foreground, or until a
// signal of the StopFlag ends the wait.
void take_screen() {
  const SignalsBlocked blocked(Terminal::kSignals);
  if (screen_state == Taken) return;
  while (has_modes && ::tcsetattr(STDIN_FILENO, TCSANOW, &modes_during) != 0 && errno == EINTR) {
    if (stop_requested != 0) return;
  }
  if (screen_state == Given) write_now(kOwnScreen);
  screen_state = Taken;
  redraw_requested = 1;
}

void handle_signal(int signal);

// The signal is blocked during its handler. Once it is not, the second signal takes the default
// action. After a stop, the process goes on here.
void give_back_and_take_default(int signal) {
  const int code = errno;
  give_screen_back();
  std::signal(signal, SIG_DFL);
  ::raise(signal);
  sigset_t own{};
  sigset_t before{};
  ::sigemptyset(&own);
  ::sigaddset(&own, signal);
  ::pthread_sigmask(SIG_UNBLOCK, &own, &before);
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  handle_signal(signal);
  errno = code;
}

void handle_signal(int signal) {
  struct sigaction action = {};
  action.sa_flags = SA_RESTART;
  if (signal == SIGCONT) {
    action.sa_handler = [](int) {
      if (screen_state == Taken) screen_state = Unsure;
    };
  } else if (signal == SIGWINCH) {
    action.sa_handler = [](int) { redraw_requested = 1; };
  } else {
    action.sa_handler = give_back_and_take_default;
  }
  ::sigaction(signal, &action, nullptr);
}

}  // namespace

bool takes_escapes() {
  const char* const kind = std::getenv("TERM");
  return ::isatty(STDOUT_FILENO) != 0 && kind != nullptr && *kind != '\0' &&
         std::string_view(kind) != "dumb";
}

std::optional<size_t> terminal_columns() {
  const winsize size = size_of_terminal();
  return size.ws_col == 0 ? std::nullopt : std::optional<size_t>(size.ws_col);
}

std::optional<size_t> terminal_rows() {
  const winsize size = size_of_terminal();
  return size.ws_row == 0 ? std::nullopt : std::optional<size_t>(size.ws_row);
}

SignalsBlocked::SignalsBlocked(std::span<const int> signals) {
  sigset_t set{};
  ::sigemptyset(&set);
  for (const int signal : signals) ::sigaddset(&set, signal);
  ::pthread_sigmask(SIG_BLOCK, &set, &before_);
}

SignalsBlocked::~SignalsBlocked() {
  ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
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

Terminal::Terminal(bool wanted) : taken_(wanted && takes_escapes()) {
  if (!taken_) return;
  std::fflush(stdout);
  has_modes = ::tcgetattr(STDIN_FILENO, &modes_before) == 0;
  modes_during = modes_before;
  modes_during.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
  for (size_t i = 0; i < kSignals.size(); ++i) {
    ::sigaction(kSignals[i], nullptr, &before_[i]);
    if (before_[i].sa_handler != SIG_IGN) handle_signal(kSignals[i]);
  }
  take_screen();
  redraw_requested = 0;
}

Terminal::~Terminal() {
  if (!taken_) return;
  const SignalsBlocked blocked(kSignals);
  std::fflush(stdout);
  give_screen_back();
  has_modes = false;
  for (size_t i = 0; i < kSignals.size(); ++i) ::sigaction(kSignals[i], &before_[i], nullptr);
}

bool Terminal::draw(const std::string& text) {
  if (!taken_) return true;
  take_screen();
  // A stop within the text would show the rest of it on the other screen.
  const SignalsBlocked blocked(kSignals);
  if (screen_state == Given) return true;
  const bool written = std::fputs((kClearScreen + text).c_str(), stdout) != EOF;
  return std::fflush(stdout) == 0 && written;
}

std::optional<char> Terminal::key(std::chrono::milliseconds wait) {
  using std::chrono::seconds;
  if (taken_) take_screen();
  pollfd ready{.fd = taken_ && has_modes ? STDIN_FILENO : -1, .events = POLLIN, .revents = 0};
  // Signals arrive only during the wait: before it, the wait would miss them; after it, a stop
  // would leave the read in the shell's modes.
  const SignalsBlocked terminal_signals(kSignals);
  const SignalsBlocked stop_signals(StopFlag::kSignals);
  if (redraw_requested != 0 || stop_requested != 0) wait = {};
  const auto whole = std::chrono::floor<seconds>(wait);
  const timespec left{.tv_sec = whole.count(),
                      .tv_nsec = std::chrono::nanoseconds(wait - whole).count()};
  if (::ppoll(&ready, 1, &left, &terminal_signals.before()) <= 0) return std::nullopt;
  char key = 0;
  if (::read(STDIN_FILENO, &key, 1) != 1) return 'q';  // end of file
  return key;
}

bool Terminal::take_redraw() {
  if (redraw_requested == 0) return false;
  redraw_requested = 0;
  return true;
}

}  // namespace passthru::tools
