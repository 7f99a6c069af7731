// SPDX-License-Identifier: MIT
// MSI-X of one assigned device as its guest sees it: the virtual table, the pending bits, Message
// Control. Turns what the guest writes there into interrupts.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "irq/message_interrupts.h"
#include "irq/msix_table.h"
#include "irq/saved_interrupts.h"
#include "mmap/access.h"
#include "pci/msix_layout.h"
#include "vfio/device.h"

namespace passthru {

/// Thread-safe. Remove its AccessTargets from every address space before you destroy it.
class Msix final : public MessageInterrupts {
 public:
  struct Options {
    uint16_t requester_id = 0;
    uint32_t max_per_second = 0;  ///< interrupts of each vector; 0: no limit
    TableRestorer::Wake wake{};
    TableRestorer::Pause pause{};
    std::function<Delivery::Clock::time_point()> now = Delivery::Clock::now;
  };

  /// The device's IRQ info says how many vectors there are, `layout` where the device's table is.
  Msix(const std::shared_ptr<VfioDevice>& device, const MsixLayout& layout,
       ForwardingRouter& router, VectorObserver& observer, Options options);

  /// The targets that answer the guest in place of the device's table and pending bits.
  std::shared_ptr<AccessTarget> table_target();
  std::shared_ptr<AccessTarget> pba_target();

  /// The guest wrote Message Control.
  void write_control(uint16_t value) PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Returns to the state after power-on: unbound, unrouted, masked, nothing pending.
  void reset() PASSTHRU_EXCLUDES(vectors_mutex_);

  /// Leaves the vectors for another process (Delivery::leave), and returns their state.
  SavedMsix leave() PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Goes on with vectors that another process has left (Delivery::go_on). Ignores vectors that the
  /// device does not have.
  void load(const SavedMsix& saved, uint16_t control) PASSTHRU_EXCLUDES(vectors_mutex_);

  /// Returns Message Control as the guest wrote it.
  [[nodiscard]] uint16_t control() const PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Returns the device's own Message Control; nothing if the device does not answer.
  [[nodiscard]] std::optional<uint16_t> control_in_device() const { return physical_->control(); }

 private:
  class TableTarget;
  class PbaTarget;

  [[nodiscard]] const VectorSource& source() const override PASSTHRU_REQUIRES(vectors_mutex_) {
    return table_;
  }
  void apply(MsixTable::Touched touched) PASSTHRU_REQUIRES(vectors_mutex_);
  uint64_t pending_word(unsigned word) PASSTHRU_REQUIRES(vectors_mutex_);

  MsixTable table_ PASSTHRU_GUARDED_BY(vectors_mutex_);
};

}  // namespace passthru
