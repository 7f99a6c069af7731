// SPDX-License-Identifier: MIT
// Owns a terminal while a live view is on it: keys come one by one, the view has a screen of its
// own, and the terminal is as it was afterwards. And what Ctrl-C ends, and when.
#pragma once

#include <termios.h>

#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>

namespace passthru::tools {

/// Whether standard output is a terminal that a person looks at.
bool is_terminal();
/// How wide it is, in characters; nothing where it is none or does not say.
std::optional<size_t> terminal_columns();
/// How many lines it has; nothing likewise.
std::optional<size_t> terminal_rows();

/// SIGINT, SIGTERM and SIGHUP set a flag instead of ending the process, for as long as this lives.
class StopFlag {
 public:
  StopFlag();
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;
  [[nodiscard]] static bool is_set();
};

/// SIGINT, SIGTERM and SIGHUP wait for as long as this lives, and then end the process.
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
  /// Standard input and output, if both are one and it is `wanted`; otherwise nothing is done.
  explicit Terminal(bool wanted);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// The next key, or nothing after `wait` or when a signal came.
  std::optional<char> key(std::chrono::milliseconds wait);
  /// Clears the screen and goes to its first line.
  static const char* clear() { return "\x1b[2J\x1b[H"; }

 private:
  std::optional<termios> before_{};
};

}  // namespace passthru::tools
