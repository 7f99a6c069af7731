// SPDX-License-Identifier: MIT
// A simple, slow model of an MSI-X function, after PCI 3.0, 6.8.2 and 6.8.3, with simple interrupt
// remapping. Tests compare the real code with it; they share no code.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <set>
#include <span>
#include <vector>

#include "irq/msi_message.h"

namespace passthru {

/// How interrupts for a CPU are remapped.
enum class Remapped {
  No,
  Blocked,
  Moved,  ///< redirected to the CPU whose id differs in bit 3
};

class MsixModel {
 public:
  explicit MsixModel(unsigned vectors) : vectors_(vectors) {}

  void write_table(uint64_t offset, std::span<const std::byte> data) {
    std::set<uint64_t> touched;
    std::set<uint64_t> completed;
    for (const std::byte byte : data) {
      const uint64_t vector = offset / 16;
      if (vector < vectors_.size()) {
        // Only the mask bit of vector control exists.
        const bool reserved = offset % 16 > 12;
        const bool mask = offset % 16 == 12;
        vectors_[vector].bytes[offset % 16] = reserved ? std::byte{0}
                                              : mask   ? byte & std::byte{1}
                                                       : byte;
        touched.insert(vector);
        if (offset % 16 >= 8) completed.insert(vector);
      }
      ++offset;
    }
    // A live vector's message changes as a whole: when its data or its mask is written.
    for (const uint64_t vector : touched) {
      if (!live(vector) || completed.contains(vector)) take_message(vectors_[vector]);
    }
  }

  std::vector<std::byte> read_table(uint64_t offset, size_t size) const {
    std::vector<std::byte> data(size, std::byte{0xff});
    for (std::byte& byte : data) {
      if (offset / 16 < vectors_.size()) byte = vectors_[offset / 16].bytes[offset % 16];
      ++offset;
    }
    return data;
  }

  std::vector<std::byte> read_pending(uint64_t offset, size_t size) const {
    std::vector<std::byte> data(size, std::byte{0xff});
    const uint64_t end = (vectors_.size() + 63) / 64 * 8;  // whole quadwords
    for (std::byte& byte : data) {
      if (offset < end) {
        byte = std::byte{0};
        for (unsigned bit = 0; bit < 8; ++bit) {
          const uint64_t vector = offset * 8 + bit;
          if (vector < vectors_.size() && vectors_[vector].pending) byte |= std::byte{1} << bit;
        }
      }
      ++offset;
    }
    return data;
  }

  void write_control(uint16_t value) {
    const bool enable = (value >> 15 & 1) != 0;
    const bool mask = (value >> 14 & 1) != 0;
    if (enable == enabled_ && mask == function_mask_) return;
    enabled_ = enable;
    function_mask_ = mask;
    for (Vector& vector : vectors_) take_message(vector);
  }

  /// Sets the remapping of interrupts to CPUs whose ids are `cpu` modulo 4.
  void remap(uint64_t cpu, Remapped how) { remapped_[cpu % 4] = how; }

  /// Makes the vector pending, as the device does.
  void raise(uint64_t vector) {
    if (enabled_) vectors_[vector].pending = true;
  }

  /// Returns the messages that the device sends now: of all pending vectors that may send.
  std::vector<MsiMessage> send() {
    std::vector<MsiMessage> sent;
    for (uint64_t vector = 0; vector < vectors_.size(); ++vector) {
      if (!sends(vector) || !vectors_[vector].pending) continue;
      vectors_[vector].pending = false;
      sent.push_back(vectors_[vector].message);
      if (remapped(vector) == Remapped::Moved) sent.back().address ^= 0x8000;
    }
    return sent;
  }

  bool enabled() const { return enabled_; }
  /// Returns whether an interrupt reaches the guest now. A vector with an invalid message waits as
  /// if masked.
  bool sends(uint64_t vector) const {
    return live(vector) && is_interrupt(vectors_[vector].message) &&
           remapped(vector) != Remapped::Blocked;
  }
  /// Returns whether the vector is masked and its message has address 0.
  bool given_up(uint64_t vector) const {
    return vectors_[vector].bytes[12] != std::byte{0} && vectors_[vector].message.address == 0;
  }
  /// Returns whether MSI-X is enabled and neither mask is set.
  bool live(uint64_t vector) const {
    return enabled_ && !function_mask_ && vectors_[vector].bytes[12] == std::byte{0};
  }

 private:
  // Intel SDM volume 3, message address and message data registers.
  static bool is_interrupt(const MsiMessage& message) {
    if (message.address / 0x10'0000 != 0xfee) return false;
    if (message.address / 16 % 256 != 0) return false;
    if (message.data > 0xffff) return false;
    const uint32_t vector = message.data % 256;
    switch (message.data / 256 % 8) {
      case 0:
      case 1:
        return vector > 15;
      case 3:
      case 6:
        return false;
      default:
        return true;
    }
  }
  Remapped remapped(uint64_t vector) const {
    return remapped_[vectors_[vector].message.address / 0x1000 % 4];
  }

  struct Vector {
    Vector() { bytes[12] = std::byte{1}; }
    std::array<std::byte, 16> bytes{};
    MsiMessage message{};
    bool pending = false;
  };

  static void take_message(Vector& vector) {
    vector.message = {};
    for (size_t i = 0; i < 8; ++i) {
      vector.message.address |= std::to_integer<uint64_t>(vector.bytes[i]) << (8 * i);
    }
    for (size_t i = 0; i < 4; ++i) {
      vector.message.data |= std::to_integer<uint32_t>(vector.bytes[8 + i]) << (8 * i);
    }
  }

  std::vector<Vector> vectors_;
  std::array<Remapped, 4> remapped_{};
  bool enabled_ = false;
  bool function_mask_ = false;
};

}  // namespace passthru
