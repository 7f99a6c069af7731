// SPDX-License-Identifier: MIT
// Restoring of a device's MSI-X state: finds entries that do not hold a message of the host, and
// makes the kernel write them again. A reset that nobody announced causes such damage. Used by
// irq/delivery under its owner's lock.
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
  /// Ascending: vectors whose entries are sound again. Each may have missed an interrupt and needs
  /// one signal.
  std::vector<unsigned> vectors{};
  /// Bound vectors whose entries are damaged still.
  std::vector<unsigned> damaged{};
  /// The first error. Vectors are lost or still damaged then; an audit goes on with them.
  Result<void> outcome{};
};

/// Not thread-safe.
///
/// `irq/entry_fault.h` decides what is damage. Nothing found in an entry is ever taken as what
/// should be there. An entry that is remembered only shows that somebody else has written it since:
/// the kernel then writes it again, whichever of the two messages was right. One case stays
/// unseen: another valid interrupt message that appears between SET_IRQS and the look after it.
class TableRestorer {
 public:
  /// Turns memory decode of the physical device on again: a COMMAND write through VFIO, which
  /// restores lost BARs too.
  using Wake = std::function<Result<void>()>;
  /// Waits for longer than Linux masks an entry to move an interrupt.
  using Pause = std::function<void()>;
  using Clock = std::chrono::steady_clock;
  using Now = std::function<Clock::time_point()>;

  /// How often a restore calls SET_IRQS for a vector whose entry is damaged again at once.
  static constexpr unsigned kMaxAttempts = 3;
  /// How often a masked entry is looked at again before it counts as damaged.
  static constexpr unsigned kMaxLooks = 2;
  /// How long an audit glances at entries where nothing is damaged: of a core, 1 % with ten audits
  /// a second. The next audit goes on from there. A thousand loads of a device, so 500 vectors.
  static constexpr std::chrono::milliseconds kGlanceFor{1};

  /// `table` may be null (MSI: VFIO hides its registers): then nothing can be looked at. No
  /// `pause`: 100 us.
  TableRestorer(const PhysicalTable* table, Vectors& vectors, Wake wake, Pause pause = {},
                Now now = Clock::now);

  /// Whether entries can be looked at.
  [[nodiscard]] bool visible() const { return table_ != nullptr && table_->visible(); }

  /// Call directly after SET_IRQS has bound `vectors` (ascending). Restores those that are damaged
  /// already.
  RestoreResult after_bind(std::span<const unsigned> vectors);

  /// Call before a bound vector goes live. Takes one 16-byte look and no system call if the entry
  /// is sound. Where the table is not visible, calls SET_IRQS, which writes the entry whatever it
  /// holds; such a vector is not in `RestoreResult::vectors`, unless Enable was lost too.
  RestoreResult before_enable(unsigned vector);

  /// Glances at Message Control and at bound vectors, see kGlanceFor. Where something shows damage,
  /// or a vector was lost, looks at all and restores what is damaged.
  ///
  /// If that fails again and again, and restores nothing, it looks at all more and more seldom, see
  /// RetryPace. An audit between two tries glances at the other vectors, restores those, and
  /// returns the same error. The wait ends if Message Control is lost after all, or if somebody
  /// enables the index.
  RestoreResult audit();

  /// The vector's entry at the last look that found it sound; nothing if SET_IRQS has written it
  /// since.
  [[nodiscard]] std::optional<MsixEntry> last_sound(unsigned vector) const;
  /// What the device has there now; nothing where the table is not visible.
  [[nodiscard]] std::optional<MsixEntry> look(unsigned vector) const;

  /// Vectors restored so far, and of one vector.
  [[nodiscard]] uint64_t count() const { return count_; }
  [[nodiscard]] uint64_t count(unsigned vector) const { return counts_[vector]; }
  /// Looks that found damage so far, restored or not.
  [[nodiscard]] uint64_t damages() const { return damages_; }

 private:
  /// An entry, and how often SET_IRQS had written it when it was looked at.
  struct Seen {
    uint64_t writes = 0;
    MsixEntry entry{};
  };

  [[nodiscard]] std::vector<unsigned> all_bound() const;
  [[nodiscard]] bool control_is_lost() const;
  [[nodiscard]] bool any_lost() const;
  /// First: one vector is enough. Others: all but those that could not be restored.
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
