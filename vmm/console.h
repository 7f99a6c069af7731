// SPDX-License-Identifier: MIT
// Owns the VMM's side of the serial line: two descriptors, and the terminal's mode while they are
// one. Used by Vm::run only.
#pragma once

#include <termios.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>

namespace passthru {

/// A terminal that is in the foreground is raw while a Console exists: every key is the guest's but
/// Ctrl-A x, which ends the VM, and Ctrl-A Ctrl-A, which is one Ctrl-A.
class Console {
 public:
  /// The descriptors stay the caller's; `in` may be -1.
  static std::unique_ptr<Console> open(int in, int out);
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// To wait for input on; -1 when there is none and never will be.
  [[nodiscard]] int input() const { return in_; }

  struct Input {
    size_t size = 0;    ///< bytes that were put into the buffer
    bool quit = false;  ///< the person at the terminal ends the VM
  };
  /// Reads what is there, at most `buffer.size()` bytes. After end of file there is no input.
  Input read(std::span<std::byte> buffer);

  /// Any thread. What cannot be written is lost: the guest does not depend on its audience.
  void write(std::byte byte) const;

 private:
  Console(int in, int out) : in_(in), out_(out) {}

  int in_;
  const int out_;
  int terminal_ = -1;  ///< whose mode was changed
  termios mode_before_{};
  bool escape_ = false;  ///< the last key was Ctrl-A
};

}  // namespace passthru
