// SPDX-License-Identifier: MIT
// The common part of MSI-X and MSI of one device: the lock, the vectors' delivery, and questions
// about them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "irq/delivery.h"
#include "irq/forwarding_router.h"
#include "irq/physical_table.h"
#include "irq/vector_source.h"
#include "irq/vector_state.h"
#include "vfio/device.h"

namespace passthru {

/// Thread-safe.
class MessageInterrupts {
 public:
  virtual ~MessageInterrupts() = default;
  MessageInterrupts(const MessageInterrupts&) = delete;
  MessageInterrupts& operator=(const MessageInterrupts&) = delete;

  /// The VMM's interrupt remapping has changed for the messages that `filter` selects.
  void retranslate(const MessageFilter& filter) PASSTHRU_EXCLUDES(vectors_mutex_);

  /// See Delivery::watch. Does nothing for a vector that the device does not have.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label)
      PASSTHRU_EXCLUDES(vectors_mutex_);

  /// See Delivery::audit. VFIO hides the registers of MSI: there it only gives lost vectors their
  /// interrupts back.
  Result<uint32_t> audit() PASSTHRU_EXCLUDES(vectors_mutex_);

  /// See Delivery::trigger.
  Result<void> trigger(unsigned vector) PASSTHRU_EXCLUDES(vectors_mutex_);

  [[nodiscard]] bool enabled() const PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Returns all vectors, ascending. `seen`: see Vectors::interrupts.
  [[nodiscard]] std::vector<VectorState> inspect(const InterruptCounts& seen = {})
      PASSTHRU_EXCLUDES(vectors_mutex_);
  /// See Delivery::delivered.
  [[nodiscard]] uint64_t delivered(const InterruptCounts& seen) PASSTHRU_EXCLUDES(vectors_mutex_);
  [[nodiscard]] InterruptCounters counters() const PASSTHRU_EXCLUDES(vectors_mutex_);

 protected:
  /// `physical` may be null: no entry is visible then.
  MessageInterrupts(const std::shared_ptr<VfioDevice>& device,
                    std::unique_ptr<const PhysicalTable> physical, ForwardingRouter& router,
                    VectorObserver& observer, Delivery::Options options);

  /// Returns the guest's registers.
  [[nodiscard]] virtual const VectorSource& source() const PASSTHRU_REQUIRES(vectors_mutex_) = 0;

  const std::unique_ptr<const PhysicalTable> physical_;  ///< delivery_ uses it
  mutable Mutex vectors_mutex_;  ///< protects delivery_ and the guest's registers
  Delivery delivery_ PASSTHRU_GUARDED_BY(vectors_mutex_);
};

}  // namespace passthru
