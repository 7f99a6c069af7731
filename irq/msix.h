// SPDX-License-Identifier: MIT
// Owns MSI-X of one assigned device as its guest meets it: the virtual table, the pending bits, the
// control word. What the guest writes becomes interrupts by irq/delivery; the guest never sees
// more.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "irq/delivery.h"
#include "irq/forwarding_router.h"
#include "irq/msix_table.h"
#include "irq/physical_table.h"
#include "mmap/access.h"
#include "pci/msix_layout.h"
#include "vfio/device.h"

namespace passthru {

/// Thread-safe. Its AccessTargets must have left every address space before it goes.
class Msix {
 public:
  struct Options {
    uint16_t requester_id = 0;
    uint32_t max_per_second = 0;  ///< interrupts of each vector; 0: no limit
    TableRestorer::Wake wake{};
    TableRestorer::Pause pause{};
    std::function<Delivery::Clock::time_point()> now = Delivery::Clock::now;
  };

  /// The device's IRQ info tells how many vectors there are; `layout` where its table is.
  Msix(const std::shared_ptr<VfioDevice>& device, const MsixLayout& layout,
       ForwardingRouter& router, VectorObserver& observer, Options options);

  /// What answers the guest at the place of the table and of the pending bits.
  std::shared_ptr<AccessTarget> table_target();
  std::shared_ptr<AccessTarget> pba_target();

  /// The guest wrote Message Control.
  void write_control(uint16_t value) PASSTHRU_EXCLUDES(vectors_mutex_);

  /// Everything as after power-on: unbound, unrouted, masked, nothing pending.
  void reset() PASSTHRU_EXCLUDES(vectors_mutex_);

  /// The VMM's interrupt remapping has changed for the messages that are concerned.
  void retranslate(const MessageFilter& concerns) PASSTHRU_EXCLUDES(vectors_mutex_);

  /// See Delivery::watch. Nothing to do for a vector that the device does not have.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label)
      PASSTHRU_EXCLUDES(vectors_mutex_);

  /// Looks at all bound vectors and restores what is damaged. Returns how many were.
  Result<uint32_t> audit() PASSTHRU_EXCLUDES(vectors_mutex_);
  /// See Delivery::trigger.
  Result<void> trigger(unsigned vector) PASSTHRU_EXCLUDES(vectors_mutex_);

  [[nodiscard]] bool enabled() const PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Message Control as the guest wrote it.
  [[nodiscard]] uint16_t control() const PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Message Control as the device has it; nothing if it does not answer.
  [[nodiscard]] std::optional<uint16_t> control_in_device() const { return physical_.control(); }
  /// All vectors, ascending.
  /// `seen`: see Vectors::interrupts.
  [[nodiscard]] std::vector<VectorState> inspect(const InterruptCounts& seen = {})
      PASSTHRU_EXCLUDES(vectors_mutex_);
  [[nodiscard]] uint64_t set_irqs_calls() const PASSTHRU_EXCLUDES(vectors_mutex_);
  /// See Delivery::delivered.
  [[nodiscard]] uint64_t delivered(const InterruptCounts& seen) PASSTHRU_EXCLUDES(vectors_mutex_);
  [[nodiscard]] uint64_t restores() const PASSTHRU_EXCLUDES(vectors_mutex_);
  [[nodiscard]] uint64_t rearms() const PASSTHRU_EXCLUDES(vectors_mutex_);
  [[nodiscard]] uint64_t damages() const PASSTHRU_EXCLUDES(vectors_mutex_);
  [[nodiscard]] uint64_t refused_messages() const PASSTHRU_EXCLUDES(vectors_mutex_);

 private:
  class TableTarget;
  class PbaTarget;

  void apply(MsixTable::Touched touched) PASSTHRU_REQUIRES(vectors_mutex_);
  uint64_t pending_word(unsigned word) PASSTHRU_REQUIRES(vectors_mutex_);

  const PhysicalTable physical_;
  mutable Mutex vectors_mutex_;  ///< protects what follows
  MsixTable table_ PASSTHRU_GUARDED_BY(vectors_mutex_);
  Delivery delivery_ PASSTHRU_GUARDED_BY(vectors_mutex_);
};

}  // namespace passthru
