// SPDX-License-Identifier: MIT
// The guest's serial port, a 16550A: registers towards the guest, a byte stream towards the VMM.
// Its line takes no time: it sends the guest's bytes at once.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <span>

#include "base/mutex.h"
#include "mmap/access.h"

namespace passthru {

/// Thread-safe.
class Serial final : public AccessTarget {
 public:
  static constexpr uint64_t kSize = 8;  ///< ports
  static constexpr size_t kFifoSize = 64;

  struct Wires {
    std::function<void(bool level)> interrupt;  ///< called with the Serial's lock held
    std::function<void(std::byte)> send;        ///< called on the vCPU's thread, no lock held
    std::function<void()> room;                 ///< the full receive FIFO has room again
  };
  explicit Serial(Wires wires) : wires_(std::move(wires)) {}

  /// Returns how many bytes `receive` would accept now.
  [[nodiscard]] size_t room() PASSTHRU_EXCLUDES(registers_mutex_);
  /// Passes bytes to the guest. Drops bytes without room, as a line without flow control does.
  void receive(std::span<const std::byte> bytes) PASSTHRU_EXCLUDES(registers_mutex_);

  void read(uint64_t offset, std::span<std::byte> data) override
      PASSTHRU_EXCLUDES(registers_mutex_);
  void write(uint64_t offset, std::span<const std::byte> data) override
      PASSTHRU_EXCLUDES(registers_mutex_);

 private:
  uint8_t read_register(uint64_t offset) PASSTHRU_REQUIRES(registers_mutex_);
  void write_register(uint64_t offset, uint8_t value) PASSTHRU_REQUIRES(registers_mutex_);
  uint8_t interrupt_identity() PASSTHRU_REQUIRES(registers_mutex_);
  void update_interrupt() PASSTHRU_REQUIRES(registers_mutex_);

  const Wires wires_;
  Mutex registers_mutex_;
  std::deque<uint8_t> received_ PASSTHRU_GUARDED_BY(registers_mutex_);
  uint8_t interrupt_enable_ PASSTHRU_GUARDED_BY(registers_mutex_) = 0;
  uint8_t fifo_control_ PASSTHRU_GUARDED_BY(registers_mutex_) = 0;
  uint8_t line_control_ PASSTHRU_GUARDED_BY(registers_mutex_) = 0;
  uint8_t modem_control_ PASSTHRU_GUARDED_BY(registers_mutex_) = 0;
  uint8_t scratch_ PASSTHRU_GUARDED_BY(registers_mutex_) = 0;
  std::array<uint8_t, 2> divisor_ PASSTHRU_GUARDED_BY(registers_mutex_) = {12, 0};
  bool transmitter_empty_event_ PASSTHRU_GUARDED_BY(registers_mutex_) = false;
  bool line_level_ PASSTHRU_GUARDED_BY(registers_mutex_) = false;
};

}  // namespace passthru
