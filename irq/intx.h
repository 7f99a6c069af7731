// SPDX-License-Identifier: MIT
// INTx of one assigned device: the host's pin becomes the guest's, with its level. The kernel masks
// the pin when it fires, and the guest's EOI unmasks it. If the VMM has resampling irqfds, none of
// our code runs in between.
#pragma once

#include <cstdint>
#include <memory>

#include "base/fd.h"
#include "base/mutex.h"
#include "base/result.h"
#include "irq/forwarding_router.h"
#include "irq/intx_relay.h"
#include "pci/bdf.h"
#include "vfio/device.h"

namespace passthru {

/// Not thread-safe, except `end_of_interrupt`. Interrupts (irq/interrupts.h) locks it.
class Intx {
 public:
  /// `pin`: 0 is INTA#.
  Intx(std::shared_ptr<VfioDevice> device, ForwardingRouter& router, Bdf guest_address,
       unsigned pin);
  ~Intx() { disable(); }
  Intx(const Intx&) = delete;
  Intx& operator=(const Intx&) = delete;

  /// Binds and arms INTx; does nothing if it is enabled. A line that is asserted already reaches
  /// the guest at once. On error INTx is disabled.
  /// Errors:
  /// - ENOTSUP: the VMM cannot report an EOI.
  /// - ENODEV: see DeviceIdentity::check.
  Result<void> enable() PASSTHRU_EXCLUDES(relay_mutex_);
  void disable() PASSTHRU_EXCLUDES(relay_mutex_);
  /// Disarms INTx in the VMM and leaves the kernel's trigger bound, for another process: the kernel
  /// still masks the pin when it fires. Otherwise a level without a handler would disturb the
  /// host's devices on the same line.
  void leave() PASSTHRU_EXCLUDES(relay_mutex_);
  /// Unmasks an enabled pin: a line that is asserted fires again.
  Result<void> unmask();
  /// Handles the guest's EOI, from a VMM that has `intx_by_level`: a line that is still asserted
  /// fires again. Does nothing if this device did not raise the line. Thread-safe.
  Result<void> end_of_interrupt() PASSTHRU_EXCLUDES(relay_mutex_);
  [[nodiscard]] bool enabled() const { return static_cast<bool>(trigger_); }
  /// Returns how many interrupts the guest has ended since the device was opened. From a VMM that
  /// has `intx_by_level`, these are the interrupts that this device raised. From any other VMM they
  /// are all interrupts of its line, which a guest also counts if devices share it. Stays 0 if the
  /// VMM refuses to count.
  [[nodiscard]] uint64_t delivered() PASSTHRU_EXCLUDES(relay_mutex_);

 private:
  void count_ends();
  void disarm() PASSTHRU_EXCLUDES(relay_mutex_);

  Result<void> arm(int trigger);
  Result<void> relay(int trigger) PASSTHRU_EXCLUDES(relay_mutex_);

  const std::shared_ptr<VfioDevice> device_;
  ForwardingRouter& router_;
  const Bdf guest_address_;
  const unsigned pin_;
  Fd trigger_;  ///< signalled by the kernel when the pin is asserted; set while enabled
  bool left_enabled_ = false;  ///< the kernel has refused to disable it
  Fd unmask_;                  ///< signalled by the VMM at the guest's EOI; unset with a relay
  Mutex relay_mutex_;          ///< an EOI may come during a guest's write or a reset
  std::unique_ptr<IntxRelay> relay_ PASSTHRU_GUARDED_BY(relay_mutex_);
  Fd idle_;   ///< a second eventfd on the line, never signalled: makes the VMM count
  Fd ended_;  ///< each EOI here; only we read it
  uint64_t delivered_ PASSTHRU_GUARDED_BY(relay_mutex_) = 0;
};

}  // namespace passthru
