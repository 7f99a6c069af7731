// SPDX-License-Identifier: MIT
// Owns MSI of one assigned device: what the guest wrote into the capability becomes interrupts by
// irq/delivery. The registers themselves are config space's (mmap/config_space).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/mutex.h"
#include "irq/delivery.h"
#include "irq/forwarding_router.h"
#include "irq/vector_source.h"
#include "mmap/config_space.h"
#include "vfio/device.h"

namespace passthru {

/// The enable bit of MSI Message Control (PCI 3.0, 6.8.1.3).
inline constexpr uint16_t kMsiEnable = 1;

/// Pure: the MSI capability read as vectors (PCI 3.0, 6.8.1). A function with N messages enabled
/// tells them apart by the low bits of its data.
class MsiVectors : public VectorSource {
 public:
  MsiVectors() = default;
  /// `available`: vectors that the device has; the guest cannot enable more.
  MsiVectors(const MsiRegisters& registers, unsigned available);

  [[nodiscard]] bool enabled() const { return enabled_ != 0; }
  /// A power of two, 0 while disabled.
  [[nodiscard]] unsigned count() const { return enabled_; }
  /// Also one that is not enabled.
  [[nodiscard]] bool masked(unsigned vector) const {
    return vector >= enabled_ || (registers_.mask >> vector & 1) != 0;
  }
  [[nodiscard]] bool live(unsigned vector) const override {
    return vector < enabled_ && !masked(vector);
  }
  [[nodiscard]] MsiMessage message(unsigned vector) const override;

 private:
  MsiRegisters registers_{};
  unsigned enabled_ = 0;
};

/// Thread-safe.
class Msi {
 public:
  Msi(const std::shared_ptr<VfioDevice>& device, ForwardingRouter& router, VectorObserver& observer,
      uint16_t requester_id, uint32_t max_per_second = 0);

  /// The guest wrote the capability.
  void write(const MsiRegisters& registers) PASSTHRU_EXCLUDES(vectors_mutex_);
  /// As after power-on: unbound, unrouted, nothing pending.
  void reset() PASSTHRU_EXCLUDES(vectors_mutex_);
  /// The VMM's interrupt remapping has changed for the messages that are concerned.
  void retranslate(const MessageFilter& concerns) PASSTHRU_EXCLUDES(vectors_mutex_);

  /// See Delivery::watch. Nothing to do for a vector that the device does not have.
  Result<void> watch(unsigned vector, std::optional<uint64_t> label)
      PASSTHRU_EXCLUDES(vectors_mutex_);

  /// Binds again what a SET_IRQS that failed has unbound; VFIO hides whether anything is damaged.
  /// Returns how many vectors were.
  Result<uint32_t> audit() PASSTHRU_EXCLUDES(vectors_mutex_);

  /// See Delivery::trigger.
  Result<void> trigger(unsigned vector) PASSTHRU_EXCLUDES(vectors_mutex_);

  [[nodiscard]] bool enabled() const PASSTHRU_EXCLUDES(vectors_mutex_);
  /// The pending bits: vectors that fired while masked.
  [[nodiscard]] uint32_t pending() PASSTHRU_EXCLUDES(vectors_mutex_);
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
  mutable Mutex vectors_mutex_;  ///< protects what follows
  MsiVectors vectors_ PASSTHRU_GUARDED_BY(vectors_mutex_);
  Delivery delivery_ PASSTHRU_GUARDED_BY(vectors_mutex_);
};

}  // namespace passthru
