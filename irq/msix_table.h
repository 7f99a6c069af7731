// SPDX-License-Identifier: MIT
// The MSI-X table and Message Control that the guest sees. A pure value: guest writes go in, the
// state of each vector comes out. irq/msix.h acts on it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "irq/msi_message.h"
#include "irq/vector_source.h"

namespace passthru {

/// The bits of MSI-X Message Control (PCI 3.0, 6.8.2.3) that a guest may write.
inline constexpr uint16_t kMsixEnable = 1U << 15;
inline constexpr uint16_t kMsixFunctionMask = 1U << 14;

/// An entry as it lies in a table, the guest's or the device's (PCI 3.0, 6.8.2.6 to 6.8.2.9).
struct MsixEntry {
  static constexpr uint64_t kSize = 16;
  static constexpr uint32_t kMasked = 1;

  uint32_t address_low = 0;
  uint32_t address_high = 0;
  uint32_t data = 0;
  uint32_t control = kMasked;

  [[nodiscard]] MsiMessage message() const {
    return {static_cast<uint64_t>(address_high) << 32 | address_low, data};
  }
  [[nodiscard]] bool masked() const { return (control & kMasked) != 0; }
  bool operator==(const MsixEntry&) const = default;
};
static_assert(sizeof(MsixEntry) == MsixEntry::kSize);

/// The guest's MSI-X table. Not thread-safe.
///
/// A guest changes a message in two or three writes. While the vector is live, an interrupt in
/// between must not carry half of each message. So a live entry's new message counts from the write
/// that touches its data or its vector control. The message of an entry that is not live counts at
/// once.
class MsixTable : public VectorSource {
 public:
  /// The vectors [first, first + count) that a write may have changed.
  struct Touched {
    unsigned first = 0;
    unsigned count = 0;
  };

  /// `vectors`: 1 to 2,048.
  explicit MsixTable(unsigned vectors);

  [[nodiscard]] unsigned vectors() const { return static_cast<unsigned>(entries_.size()); }
  [[nodiscard]] uint64_t size() const { return entries_.size() * MsixEntry::kSize; }

  /// `offset` is within the table. Bytes beyond the end read as all ones.
  void read(uint64_t offset, std::span<std::byte> data) const;
  /// Takes any width and alignment. Drops bytes beyond the end.
  Touched write(uint64_t offset, std::span<const std::byte> data);

  /// Sets Message Control as the guest wrote it. Keeps only Enable and Function Mask.
  Touched write_control(uint16_t value);
  [[nodiscard]] uint16_t control() const { return control_; }
  [[nodiscard]] bool enabled() const { return (control_ & kMsixEnable) != 0; }

  [[nodiscard]] bool live(unsigned vector) const override;
  /// Returns the vector's own mask bit.
  [[nodiscard]] bool masked(unsigned vector) const { return entries_[vector].masked(); }
  [[nodiscard]] MsiMessage message(unsigned vector) const override { return taken_[vector]; }
  /// Returns whether the guest's driver has freed the interrupt. Linux then clears the message of
  /// the masked entry, and no MSI has address 0.
  [[nodiscard]] bool given_up(unsigned vector) const override {
    return masked(vector) && taken_[vector].address == 0;
  }

  /// Restores the state after power-on or a function-level reset: all entries masked, messages and
  /// control zero.
  void reset();

 private:
  void take_over(unsigned vector) { taken_[vector] = entries_[vector].message(); }

  std::vector<MsixEntry> entries_;
  std::vector<MsiMessage> taken_;
  uint16_t control_ = 0;
};

}  // namespace passthru
