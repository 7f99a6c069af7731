// SPDX-License-Identifier: MIT
// A terminal during a live view: single keys, a separate screen, and the old mode afterwards. Also
// the handling of Ctrl-C.
#pragma once

#include <termios.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>

namespace passthru::tools {

/// Returns whether standard output is a terminal.
bool is_terminal();
/// Returns its width in characters; nothing if it is not a terminal or its size is unknown.
std::optional<size_t> terminal_columns();
/// Returns its number of lines; nothing in the same cases.
std::optional<size_t> terminal_rows();

/// While it exists, SIGINT, SIGTERM and SIGHUP set a flag instead of ending the process. Afterwards
/// the flag is not set.
class StopFlag {
 public:
  StopFlag();
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;
  [[nodiscard]] static bool is_set();
};

/// While it exists, SIGINT, SIGTERM and SIGHUP are blocked; afterwards they end the process.
class SignalsHeld {
 public:
  SignalsHeld();
  ~SignalsHeld();
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

 private:
  sigset_t before_{};
};

class Terminal {
 public:
  /// Takes standard input and output if `wanted` and both are terminals; otherwise does nothing.
  explicit Terminal(bool wanted);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Returns the next key, or nothing after `wait` or a signal.
  std::optional<char> key(std::chrono::milliseconds wait);
  /// Returns the sequence that clears the screen and goes to its first line.
  static const char* clear() { return "\x1b[2J\x1b[H"; }

 private:
  std::optional<termios> before_{};
};

}  // namespace passthru::tools
