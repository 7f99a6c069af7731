// SPDX-License-Identifier: MIT
// Owns config space bit by bit: for each whether its value is ours or the device's, and who may
// write it. Mechanism only; ConfigSpace decides what each bit is and what a write means.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace passthru {

/// The device's own registers. Accesses are naturally aligned and 1, 2 or 4 bytes.
class PhysicalConfig {
 public:
  virtual ~PhysicalConfig() = default;
  virtual Result<void> read(uint32_t offset, std::span<std::byte> data) = 0;
  virtual Result<void> write(uint32_t offset, std::span<const std::byte> data) = 0;
};

/// 4096 bytes of config space. Every bit is in one of these states:
///   virtual, read-only   reads what we say
///   virtual, writable    reads what the guest wrote last
///   the device's         read from it; written to it only where `pass` says so
class ConfigBits {
 public:
  static constexpr uint32_t kSize = 4096;

  /// The virtual bytes under one access before it was made.
  struct Undo {
    uint32_t offset = 0;
    unsigned width = 0;
    std::array<uint8_t, 4> bytes{};
  };

  /// `size`: bytes that the device has; what is beyond reads all ones.
  ConfigBits(std::shared_ptr<PhysicalConfig> device, uint32_t size);

  // Describing the bits. `mask` and values are little-endian registers of `width` 1, 2 or 4 bytes
  // at `offset`; bits outside `mask` keep what they were. What is said last counts.

  /// Virtual, reads `value`; the guest may write the bits in `writable`. `value` is also what reset
  /// restores.
  void emulate(uint32_t offset, unsigned width, uint32_t mask, uint32_t value,
               uint32_t writable = 0);
  /// The device's own, read and written by the guest.
  void pass(uint32_t offset, unsigned width, uint32_t mask);
  /// The device's own, writes dropped.
  void pass_reads(uint32_t offset, unsigned width, uint32_t mask);
  /// What the device gets in bits that the guest does not write, when it writes their neighbours.
  /// Else 0.
  void hold(uint32_t offset, unsigned width, uint32_t mask, uint32_t value);

  // The guest's accesses: width 1, 2 or 4 at any offset.
  uint32_t read(uint32_t offset, unsigned width);
  Undo write(uint32_t offset, unsigned width, uint32_t value);
  void undo(const Undo& before);
  /// Every virtual bit as `emulate` described it.
  void reset();

  /// The virtual bits as they are, without the device; its own bits are 0.
  [[nodiscard]] uint32_t value(uint32_t offset, unsigned width) const;
  /// Changes virtual bits in `mask` as if the guest had written them.
  void set_value(uint32_t offset, unsigned width, uint32_t mask, uint32_t value);
  [[nodiscard]] uint64_t failed_accesses() const { return failed_accesses_; }

 private:
  using Bytes = std::array<uint8_t, kSize>;
  uint32_t read_device(uint32_t offset, unsigned width);
  void write_device(uint32_t offset, unsigned width, uint32_t value);

  const std::shared_ptr<PhysicalConfig> device_;
  const uint32_t size_;
  Bytes emulated_{};
  Bytes guest_writable_{};
  Bytes device_writable_{};
  Bytes held_{};
  Bytes value_{};
  Bytes power_on_{};
  uint64_t failed_accesses_ = 0;
};

}  // namespace passthru
