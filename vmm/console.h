// SPDX-License-Identifier: MIT
// The VMM's side of the serial line: two descriptors, and the mode of a terminal. Used by Vm::run
// only.
#pragma once

#include <termios.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "vmm/output_writer.h"

namespace passthru {

/// Keeps a foreground terminal in raw mode while it exists. The guest gets every key, except for
/// Ctrl-A x, which ends the VM, and Ctrl-A Ctrl-A, which sends one Ctrl-A.
class Console {
 public:
  /// Opens a console. The caller keeps the descriptors; `in` may be -1.
  /// Errors:
  /// - EAGAIN: the process cannot create a thread.
  static Result<std::unique_ptr<Console>> open(int in, int out);
  /// Calls `finish`, then restores the terminal's mode.
  ~Console();
  Console(const Console&) = delete;
  Console& operator=(const Console&) = delete;

  /// Returns the descriptor to poll for input; -1 if no input will ever come.
  [[nodiscard]] int input() const { return in_; }

  struct Input {
    size_t size = 0;    ///< bytes in the buffer
    bool quit = false;  ///< Ctrl-A x was pressed
  };
  /// Reads the available input, at most `buffer.size()` bytes. At end of file, `input` becomes -1.
  Input read(std::span<std::byte> buffer);

  /// Writes a byte. Never waits for a reader: OutputWriter drops bytes if it has no room. Callable
  /// from any thread.
  void write(std::byte byte) { output_->write(std::span(&byte, 1)); }
  /// Writes the remaining bytes, as OutputWriter::finish does. Returns how many were dropped.
  uint64_t finish() {
    output_->finish();
    return output_->dropped();
  }

 private:
  Console(int in, std::unique_ptr<OutputWriter> output);

  int in_;
  const std::unique_ptr<OutputWriter> output_;
  int terminal_ = -1;  ///< terminal whose mode was changed, or -1
  termios mode_before_{};
  bool escape_ = false;  ///< the last key was Ctrl-A
};

}  // namespace passthru
