// SPDX-License-Identifier: MIT
// Config space bit by bit: whether the value of a bit is Passthru's or the device's, and whether
// the guest may write it. Mechanism only: ConfigSpace decides the kind of each bit and the meaning
// of a write.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"

namespace passthru {

/// The device's own registers. Accesses are naturally aligned and 1, 2 or 4 bytes wide.
class PhysicalConfig {
 public:
  virtual ~PhysicalConfig() = default;
  virtual Result<void> read(uint32_t offset, std::span<std::byte> data) = 0;
  virtual Result<void> write(uint32_t offset, std::span<const std::byte> data) = 0;
};

/// 4096 bytes of config space. Every bit is in one of these states:
///   virtual, read-only   reads the value that Passthru set
///   virtual, writable    reads the value that the guest wrote last
///   the device's         reads from the device; writes reach it only after `pass`
class ConfigBits {
 public:
  static constexpr uint32_t kSize = 4096;
  using Bytes = std::array<uint8_t, kSize>;

  /// The virtual bytes under one access, as they were before it.
  struct Undo {
    uint32_t offset = 0;
    unsigned width = 0;
    std::array<uint8_t, 4> bytes{};
  };

  /// `size` is the number of bytes that the device has. Bytes beyond it read as all ones.
  ConfigBits(std::shared_ptr<PhysicalConfig> device, uint32_t size);

  // The description of the bits. `mask` and values are little-endian registers of `width` 1, 2 or 4
  // bytes at `offset`. Bits outside `mask` keep their description. The last description counts.

  /// Makes bits virtual, with the value `value`. The guest may write the bits in `writable`. Reset
  /// restores `value`.
  void emulate(uint32_t offset, unsigned width, uint32_t mask, uint32_t value,
               uint32_t writable = 0);
  /// Gives bits to the device. The guest reads and writes them.
  void pass(uint32_t offset, unsigned width, uint32_t mask);
  /// Gives bits to the device. The guest reads them; its writes are dropped.
  void pass_reads(uint32_t offset, unsigned width, uint32_t mask);
  /// Sets the value that the device gets in bits that the guest cannot write, when the guest writes
  /// their neighbours. The default is 0.
  void hold(uint32_t offset, unsigned width, uint32_t mask, uint32_t value);

  // The guest's accesses: width 1, 2 or 4 at any offset.
  uint32_t read(uint32_t offset, unsigned width);
  Undo write(uint32_t offset, unsigned width, uint32_t value);
  void undo(const Undo& before);
  /// Restores every virtual bit to its `emulate` value.
  void reset();

  /// Returns the virtual bits without an access to the device. The device's own bits are 0.
  [[nodiscard]] uint32_t value(uint32_t offset, unsigned width) const;
  /// Changes the virtual bits in `mask` as if the guest had written them.
  void set_value(uint32_t offset, unsigned width, uint32_t mask, uint32_t value);
  /// Returns all virtual bits, for `load`.
  [[nodiscard]] const Bytes& values() const { return value_; }
  /// Sets the virtual bits that the guest may write to those in `bytes`, and the others to their
  /// `emulate` values. Does not access the device.
  void load(const Bytes& bytes);
  [[nodiscard]] uint64_t failed_accesses() const { return failed_accesses_; }

 private:
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
