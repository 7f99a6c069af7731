// SPDX-License-Identifier: MIT
// Text on its way to an output that may be slow: a bounded buffer, and a thread of its own that
// writes it. A thread with text to write, a vCPU for example, never waits for a reader.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"

namespace passthru {

/// Writes in the order of the calls of `write`. When the buffer is full, it drops new bytes until
/// half of the buffer is free again. Then it adds one line: "[N bytes of WHAT were dropped]".
/// Thread-safe, except for `finish` and the destructor.
class OutputWriter {
 public:
  static constexpr size_t kCapacity = size_t{64} << 10;
  /// How long `finish` waits for an output that accepts no byte.
  static constexpr std::chrono::milliseconds kPatience{5000};

  struct Options {
    std::string what{};           ///< for the line about dropped bytes: "console output"
    size_t capacity = kCapacity;  ///< bytes; that line must fit into half of them
    std::chrono::milliseconds patience = kPatience;
  };

  /// Starts a writer. The caller keeps `fd`, which must outlive the writer and may be nonblocking.
  /// Errors:
  /// - EAGAIN: the process cannot create a thread.
  static Result<std::unique_ptr<OutputWriter>> start(int fd, Options options);
  /// Calls `finish`.
  ~OutputWriter();
  OutputWriter(const OutputWriter&) = delete;
  OutputWriter& operator=(const OutputWriter&) = delete;

  /// Queues all of `bytes`, or drops and counts all of them. Never waits for a reader.
  void write(std::span<const std::byte> bytes) PASSTHRU_EXCLUDES(buffer_mutex_);
  void write(std::string_view text) { write(std::as_bytes(std::span(text))); }

  /// Waits until the output has all bytes, and ends the thread. Gives up if the output accepts no
  /// byte for `patience`, and drops the remaining bytes. Later calls of `write` drop their bytes.
  /// Waits for a write that no signal interrupts, for example to a network file system.
  void finish() PASSTHRU_EXCLUDES(buffer_mutex_);

  /// Returns how many bytes were dropped so far: because there was no room, the output failed, or
  /// `finish` gave up.
  [[nodiscard]] uint64_t dropped() const PASSTHRU_EXCLUDES(buffer_mutex_);

 private:
  OutputWriter(int fd, Options options);
  void run();
  std::span<const std::byte> wait_for_chunk() PASSTHRU_EXCLUDES(buffer_mutex_);
  void remove(size_t size, bool written) PASSTHRU_EXCLUDES(buffer_mutex_);
  void drop(size_t size) PASSTHRU_REQUIRES(buffer_mutex_);
  void resume() PASSTHRU_REQUIRES(buffer_mutex_);
  void put(std::span<const std::byte> bytes) PASSTHRU_REQUIRES(buffer_mutex_);
  [[nodiscard]] size_t room() const PASSTHRU_REQUIRES(buffer_mutex_) {
    return buffer_.size() - size_;
  }

  const int fd_;
  const Options options_;

  mutable Mutex buffer_mutex_;  ///< never held in a write to `fd_`
  std::condition_variable_any changed_;
  /// A ring. The thread reads its oldest bytes without the lock: nobody overwrites them.
  std::vector<std::byte> buffer_;
  size_t begin_ PASSTHRU_GUARDED_BY(buffer_mutex_) = 0;
  size_t size_ PASSTHRU_GUARDED_BY(buffer_mutex_) = 0;
  bool line_ended_ PASSTHRU_GUARDED_BY(buffer_mutex_) = true;  ///< by the newest byte
  bool dropping_ PASSTHRU_GUARDED_BY(buffer_mutex_) = false;
  uint64_t untold_ PASSTHRU_GUARDED_BY(buffer_mutex_) = 0;   ///< dropped since the last line
  uint64_t dropped_ PASSTHRU_GUARDED_BY(buffer_mutex_) = 0;  ///< in total
  uint64_t removed_ PASSTHRU_GUARDED_BY(buffer_mutex_) = 0;  ///< bytes, to see progress
  bool finishing_ PASSTHRU_GUARDED_BY(buffer_mutex_) = false;
  bool gave_up_ PASSTHRU_GUARDED_BY(buffer_mutex_) = false;
  bool ended_ PASSTHRU_GUARDED_BY(buffer_mutex_) = false;  ///< the thread makes no further call

  std::thread thread_;
};

}  // namespace passthru
