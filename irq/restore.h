// SPDX-License-Identifier: MIT
// Owns the healing of a device's MSI-X state: remembers what the host put into the physical table
// and makes the kernel put it there again when a reset nobody announced has cleared it. Used by
// irq/msix under its lock.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "irq/physical_table.h"
#include "irq/vectors.h"
#include "vfio/result.h"

namespace passthru {

/// Pure: whether `found` is what the host put into an entry. Without interrupt remapping (address
/// bit 4 clear, VT-d 5.1.5.2) the host rewrites the message when an interrupt moves to another CPU:
/// different is then no damage, as long as it is still a message and not masked.
bool is_damaged(const MsixEntry& expected, const MsixEntry& found);

/// What became of a look.
struct Healed {
  /// Vectors that were re-issued: each may have missed an interrupt and wants one extra signal.
  std::vector<unsigned> vectors{};
  /// An error: some are still damaged, and the next look finds them.
  Result<void> outcome{};
};

class Restore {
 public:
  /// Turns memory decode of the physical device on again: a COMMAND write through VFIO, which
  /// restores lost BARs too.
  using Wake = std::function<Result<void>()>;

  /// `table` may be null (MSI: VFIO hides its registers): then nothing can be looked at.
  Restore(const PhysicalTable* table, Vectors& vectors, Wake wake);

  /// The vectors were just bound: what their entries hold now is the host's message.
  void remember(std::span<const unsigned> vectors);
  void remember_all_bound();

  /// Before a bound vector goes live. One 16-byte look where the table is visible, no system call
  /// if it is sound; where it is not visible, SET_IRQS, which writes the entry whatever it holds.
  Healed before_enable(unsigned vector);

  /// Looks at Message Control and every bound vector, and restores what is damaged or was lost.
  Healed audit();

  /// What the host put into a bound vector's entry, and what the device has there now. Nothing
  /// where the table is not visible.
  [[nodiscard]] std::optional<MsixEntry> written(unsigned vector) const {
    return table_ != nullptr && table_->visible() ? std::optional(expected_[vector]) : std::nullopt;
  }
  [[nodiscard]] std::optional<MsixEntry> look(unsigned vector) const;

  /// Vectors restored so far, and of one vector.
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t count(unsigned vector) const { return counts_[vector]; }
  /// Looks that found damage so far, restored or not.
  [[nodiscard]] uint64_t damages() const { return damages_; }

 private:
  [[nodiscard]] std::optional<uint16_t> look_at_control() const;
  [[nodiscard]] bool damaged(unsigned vector) const;
  Healed heal(std::span<const unsigned> damaged);
  Result<bool> prepare();
  void restored(unsigned vector);

  const PhysicalTable* const table_;
  Vectors& vectors_;
  Wake wake_;
  std::vector<MsixEntry> expected_;
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t damages_ = 0;
};

}  // namespace passthru
