// SPDX-License-Identifier: MIT
// MSI of one assigned device: turns what the guest writes into the capability into interrupts.
// Config space (mmap/config_space) keeps the registers themselves.
#pragma once

#include <linux/pci_regs.h>

#include <cstdint>
#include <memory>

#include "irq/message_interrupts.h"
#include "mmap/config_space.h"
#include "vfio/device.h"

namespace passthru {

/// Pure: the MSI capability read as vectors (PCI 3.0, 6.8.1). A function with N messages enabled
/// tells them apart by the low bits of its data.
class MsiVectors : public VectorSource {
 public:
  MsiVectors() = default;
  /// `available`: vectors that the device has; the guest cannot enable more.
  MsiVectors(const MsiRegisters& registers, unsigned available);

  [[nodiscard]] bool enabled() const override { return enabled_ != 0; }
  /// A power of two, 0 while disabled.
  [[nodiscard]] unsigned count() const { return enabled_; }
  /// A vector that is not enabled counts as masked.
  [[nodiscard]] bool masked(unsigned vector) const override {
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
class Msi final : public MessageInterrupts {
 public:
  Msi(const std::shared_ptr<VfioDevice>& device, ForwardingRouter& router, VectorObserver& observer,
      uint16_t requester_id, uint32_t max_per_second = 0);

  /// The guest wrote the capability.
  void write(const MsiRegisters& registers) PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Returns to the state after power-on: unbound, unrouted, nothing pending.
  void reset() PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Leaves the vectors for another process (Delivery::leave), and returns the pending bits.
  uint32_t leave(Delivery::Leave how) PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Goes on with vectors that another process has left (Delivery::go_on).
  void load(uint32_t pending, const MsiRegisters& registers) PASSTHRU_EXCLUDES(vectors_mutex_);
  /// Returns the pending bits: vectors that fired while masked.
  [[nodiscard]] uint32_t pending() PASSTHRU_EXCLUDES(vectors_mutex_);

 private:
  [[nodiscard]] const VectorSource& source() const override PASSTHRU_REQUIRES(vectors_mutex_) {
    return vectors_;
  }

  [[nodiscard]] uint32_t pending_bits() PASSTHRU_REQUIRES(vectors_mutex_);

  MsiVectors vectors_ PASSTHRU_GUARDED_BY(vectors_mutex_);
};

}  // namespace passthru
