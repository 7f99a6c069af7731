// SPDX-License-Identifier: MIT
// A terminal during a live view: single keys, a separate screen, and the old modes afterwards. Also
// the handling of Ctrl-C.
#pragma once

#include <array>
#include <chrono>
#include <csignal>
#include <cstddef>
#include <optional>
#include <span>
#include <string>

namespace passthru::tools {

/// Returns whether standard output is a terminal that understands escape sequences: TERM has a
/// value other than "dumb".
bool takes_escapes();
/// Returns the width of standard output in characters; nothing if it is not a terminal, or if its
/// size is unknown.
std::optional<size_t> terminal_columns();
/// Returns its number of lines; nothing in the same cases.
std::optional<size_t> terminal_rows();

/// Blocks signals while it exists.
class SignalsBlocked {
 public:
  explicit SignalsBlocked(std::span<const int> signals);
  ~SignalsBlocked();
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;
  /// Returns what was blocked before.
  [[nodiscard]] const sigset_t& before() const { return before_; }

 private:
  sigset_t before_{};
};

/// While it exists, SIGINT, SIGTERM and SIGHUP set a flag instead of ending the process. Afterwards
/// the flag is not set.
class StopFlag {
 public:
  StopFlag();
  ~StopFlag();
  StopFlag(const StopFlag&) = delete;
  StopFlag& operator=(const StopFlag&) = delete;
  [[nodiscard]] static bool is_set();

  static constexpr std::array kSignals = {SIGINT, SIGTERM, SIGHUP};
};

/// The terminal of a live view. There is at most one at a time.
///
/// A stop by Ctrl-Z first gives the terminal back, and the next `key` or `draw` after the stop
/// takes it again. In the background, these calls stop the process. SIGQUIT gives the terminal back
/// before the process ends. A signal that the process ignored stays ignored.
class Terminal {
 public:
  /// Takes the terminal if `wanted` and it takes escapes; otherwise does nothing. There are keys if
  /// standard input is a terminal too.
  explicit Terminal(bool wanted);
  ~Terminal();
  Terminal(const Terminal&) = delete;
  Terminal& operator=(const Terminal&) = delete;

  /// Clears the screen and shows `text`. Returns false, with errno, if it cannot be written.
  [[nodiscard]] bool draw(const std::string& text);
  /// Returns the next key. Returns nothing after `wait`, after a signal, and at once if the screen
  /// must be drawn again or the StopFlag is set.
  std::optional<char> key(std::chrono::milliseconds wait);
  /// Returns whether the screen must be drawn again: its size has changed, or the process was
  /// stopped. The next call returns false.
  [[nodiscard]] bool take_redraw();

  static constexpr std::array kSignals = {SIGTSTP, SIGQUIT, SIGCONT, SIGWINCH};

 private:
  const bool taken_;
  std::array<struct sigaction, kSignals.size()> before_{};
};

}  // namespace passthru::tools
