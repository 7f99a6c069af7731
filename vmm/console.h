// SPDX-License-Identifier: MIT
// The VMM's side of the serial line: two descriptors, and the terminal's mode while they are one.
// Used by Vm::run only.
#pragma once

#include <termios.h>

#include <cstddef>
#include <memory>
#include <span>

#include "base/result.h"
#include "vmm/output_writer.h"

namespace passthru {

/// A terminal that is in the foreground is raw while a Console exists: every key is the guest's but
/// Ctrl-A x, which ends the VM, and Ctrl-A Ctrl-A, which is one Ctrl-A.
class Console {
 public:
  /// The descriptors stay the caller's; `in` may be -1. EAGAIN: no thread can be had.
  static Result<std::unique_ptr<Console>> open(int in, int out);
  /// After `finish`, gives the terminal its mode back.
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

  /// Any thread. Waits for no reader: OutputWriter drops what finds no room.
  void write(std::byte byte) { output_->write(std::span(&byte, 1)); }
  /// Writes what is left, as OutputWriter::finish does. Returns how many bytes were dropped.
  uint64_t finish() {
    output_->finish();
    return output_->dropped();
  }

 private:
  Console(int in, std::unique_ptr<OutputWriter> output);

  int in_;
  const std::unique_ptr<OutputWriter> output_;
  int terminal_ = -1;  ///< whose mode was changed
  termios mode_before_{};
  bool escape_ = false;  ///< the last key was Ctrl-A
};

}  // namespace passthru
