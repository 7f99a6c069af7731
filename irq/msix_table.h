// SPDX-License-Identifier: MIT
// The MSI-X table and Message Control as the guest sees them: a pure value. Guest writes go in; the
// vectors that they may have changed come out. irq/msix acts on them.
#pragma once

#include <linux/pci_regs.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "irq/msi_message.h"
#include "irq/msix_entry.h"
#include "irq/vector_source.h"

namespace passthru {

/// The guest's MSI-X table. Not thread-safe.
///
/// A guest changes a message in two or three writes. While the vector is live, it must not get an
/// interrupt with half of each message. So a live entry's new message takes effect with the write
/// that touches its data or its vector control; that of an entry that is not live, at once.
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

  /// Bytes beyond the table's end read all ones.
  void read(uint64_t offset, std::span<std::byte> data) const;
  /// Takes any width and alignment. Drops bytes beyond the end.
  Touched write(uint64_t offset, std::span<const std::byte> data);

  /// Sets Message Control as the guest wrote it. Keeps only Enable and Function Mask.
  Touched write_control(uint16_t value);
  [[nodiscard]] uint16_t control() const { return control_; }
  [[nodiscard]] bool enabled() const override { return (control_ & PCI_MSIX_FLAGS_ENABLE) != 0; }

  [[nodiscard]] bool live(unsigned vector) const override;
  /// The vector's own mask bit.
  [[nodiscard]] bool masked(unsigned vector) const override { return entries_[vector].masked(); }
  [[nodiscard]] MsiMessage message(unsigned vector) const override { return taken_[vector]; }
  /// Linux drivers clear the message of a masked entry when they free its interrupt. No MSI has
  /// address 0.
  [[nodiscard]] bool given_up(unsigned vector) const override {
    return masked(vector) && taken_[vector].address == 0;
  }

  /// Returns an entry as the guest wrote it.
  [[nodiscard]] const MsixEntry& entry(unsigned vector) const { return entries_[vector]; }
  /// Sets an entry and the message in force, then Message Control, to a saved state. Keep only what
  /// a guest can write.
  void load(unsigned vector, const MsixEntry& entry, const MsiMessage& in_force);
  void load_control(uint16_t value);

  /// Returns to the state after power-on or a function-level reset: all masked, messages and
  /// control zero.
  void reset();

 private:
  void take_over(unsigned vector) { taken_[vector] = entries_[vector].message(); }

  std::vector<MsixEntry> entries_;
  std::vector<MsiMessage> taken_;
  uint16_t control_ = 0;
};

}  // namespace passthru
