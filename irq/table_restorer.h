// SPDX-License-Identifier: MIT
// The restorer of a device's MSI-X state. It finds entries that do not hold a message of the host,
// and makes the kernel write them again. A reset behind VFIO's back causes such damage. Delivery
// uses it under its owner's lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "irq/entry_fault.h"
#include "irq/physical_table.h"
#include "irq/retry_pace.h"
#include "irq/vectors.h"

namespace passthru {

/// The result of a restore.
struct RestoreResult {
  /// Vectors whose entries are sound again, ascending. Each may have missed an interrupt and needs
  /// one signal.
  std::vector<unsigned> vectors{};
  /// Bound vectors whose entries are still damaged.
  std::vector<unsigned> damaged{};
  /// The first error. Vectors are lost or still damaged then; an audit goes on with them.
  Result<void> outcome{};
};

/// Not thread-safe.
///
/// `irq/entry_fault.h` decides what is damage. The restorer never learns from an entry what should
/// be there. A remembered entry only shows that something else has written it since. The kernel
/// then writes it again, whichever of the two messages was right. One kind of damage stays unseen:
/// another valid interrupt message that appears between SET_IRQS and the check after it.
class TableRestorer {
 public:
  /// Enables memory decode of the physical device again, by a COMMAND write through VFIO. That also
  /// restores lost BARs.
  using Wake = std::function<Result<void>()>;
  /// Waits for longer than Linux masks an entry to move an interrupt.
  using Pause = std::function<void()>;
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;

  /// SET_IRQS calls of one restore for a vector whose entry is damaged again at once.
  static constexpr unsigned kMaxAttempts = 3;
  /// Reads of a masked entry before it counts as damaged.
  static constexpr unsigned kMaxLooks = 2;
  /// Time for the glances of one audit if nothing is damaged: with ten audits a second, 1 % of a
  /// core. The next audit continues there. It is enough for a thousand device loads, so 500
  /// vectors.
  static constexpr std::chrono::milliseconds kGlanceFor{1};

  /// `table` may be null: then no entry is visible. That is so for MSI, whose registers VFIO hides.
  /// Without `pause`, the restorer waits 100 us.
  TableRestorer(const PhysicalTable* table, Vectors& vectors, Wake wake, Pause pause = {},
                Now now = Clock::now);

  /// Returns whether it can read entries.
  [[nodiscard]] bool visible() const { return table_ != nullptr && table_->visible(); }

  /// Restores those of `vectors` (ascending) that are damaged already. Call it directly after
  /// SET_IRQS has bound them.
  RestoreResult after_bind(std::span<const unsigned> vectors);

  /// Restores a bound vector if its entry is damaged. Call it before the vector becomes live. For a
  /// sound entry, it reads 16 bytes and makes no system call. If the table is not visible, it calls
  /// SET_IRQS, which writes the entry whatever it holds. Such a vector is not in
  /// `RestoreResult::vectors`, unless Enable was lost too.
  RestoreResult before_enable(unsigned vector);

  /// Glances at Message Control and at bound vectors, see kGlanceFor. If a glance shows damage, or
  /// a vector was lost, it checks all vectors and restores the damaged ones.
  ///
  /// If that fails repeatedly and restores nothing, it checks all vectors less and less often, see
  /// RetryPace. An audit between two tries glances at the other vectors, restores those, and
  /// returns the same error. The wait ends if Message Control is lost, or if the index is enabled.
  RestoreResult audit();

  /// Returns the vector's entry when it was last found sound; nothing if SET_IRQS has written it
  /// since.
  [[nodiscard]] std::optional<MsixEntry> last_sound(unsigned vector) const;
  /// Returns the device's entry; nothing if the table is not visible.
  [[nodiscard]] std::optional<MsixEntry> look(unsigned vector) const;

  /// Returns how many vectors were restored, and how often one vector was.
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t count(unsigned vector) const { return counts_[vector]; }
  /// Returns how many checks found damage, restored or not.
  [[nodiscard]] uint64_t damages() const { return damages_; }

 private:
  /// An entry, and how often SET_IRQS had written it when it was read.
  struct Seen {
    uint64_t writes = 0;
    MsixEntry entry{};
  };

  [[nodiscard]] std::vector<unsigned> all_bound() const;
  [[nodiscard]] bool control_is_lost() const;
  [[nodiscard]] bool any_lost() const;
  /// First: stop at the first damaged vector. Others: skip those that could not be restored.
  enum class Glance { First, Others };
  std::vector<unsigned> glance(Glance which);
  RestoreResult look_at_others();
  [[nodiscard]] bool is_other_damage(bool control_lost) const;
  void start_over();
  void keep_pace(const RestoreResult& restored);
  void remember_failed(const RestoreResult& restored);
  EntryFault fault(unsigned vector);
  std::vector<unsigned> damaged(std::span<const unsigned> vectors);
  RestoreResult restore(std::vector<unsigned> damaged);
  Result<bool> needs_cycle();
  Result<void> rebind(std::span<const unsigned> vectors);

  const PhysicalTable* const table_;
  Vectors& vectors_;
  Wake wake_;
  Pause pause_;
  Now now_;
  unsigned next_glance_ = 0;
  std::vector<Seen> seen_;
  std::vector<uint64_t> counts_;
  uint64_t count_ = 0;
  uint64_t damages_ = 0;

  /// Of audits whose restore fails.
  RetryPace pace_;
  Result<void> failure_{};  ///< of the last of them
  uint64_t enables_at_failure_ = 0;
  bool control_lost_at_failure_ = false;
  /// By vector: how often SET_IRQS had written it when an audit could not restore it.
  std::vector<uint64_t> failed_at_;
};

}  // namespace passthru
