// SPDX-License-Identifier: MIT
// Owns INTx of one assigned device: the host's pin becomes the guest's, level and all. The kernel
// masks the pin when it fires; the guest's EOI unmasks it. Where the VMM has resampling irqfds, no
// code of ours runs in between.
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

/// Not thread-safe but for `end_of_interrupt`; irq/interrupts guards it.
class Intx {
 public:
  /// `pin`: 0 is INTA#.
  Intx(std::shared_ptr<VfioDevice> device, ForwardingRouter& router, Bdf guest_address,
       unsigned pin);
  ~Intx() { disable(); }
  Intx(const Intx&) = delete;
  Intx& operator=(const Intx&) = delete;

  /// A line that is asserted already reaches the guest at once. Nothing to do if enabled. ENOTSUP:
  /// the VMM cannot tell an EOI; ENODEV: see DeviceIdentity::check. On error INTx is disabled.
  Result<void> enable() PASSTHRU_EXCLUDES(relay_mutex_);
  void disable() PASSTHRU_EXCLUDES(relay_mutex_);
  /// The guest's EOI, from a VMM that has `intx_by_level`: what is still asserted fires again.
  /// Nothing to do where it was not this device that raised the line. Thread-safe.
  Result<void> end_of_interrupt() PASSTHRU_EXCLUDES(relay_mutex_);
  [[nodiscard]] bool enabled() const { return static_cast<bool>(trigger_); }
  /// Interrupts that the guest has ended since the device was opened, while INTx was enabled. Of a
  /// VMM that has `intx_by_level`: those that this device had raised. Otherwise all of its line,
  /// which is what a guest counts of devices that share one. Not counted where the VMM refuses.
  [[nodiscard]] uint64_t delivered() PASSTHRU_EXCLUDES(relay_mutex_);

 private:
  void count_ends();

  Result<void> arm(int trigger);
  Result<void> relay(int trigger) PASSTHRU_EXCLUDES(relay_mutex_);

  const std::shared_ptr<VfioDevice> device_;
  ForwardingRouter& router_;
  const Bdf guest_address_;
  const unsigned pin_;
  Fd trigger_;         ///< signalled by the kernel when the pin is asserted; set while enabled
  Fd unmask_;          ///< signalled by the VMM at the guest's EOI; unless there is
  Mutex relay_mutex_;  ///< an EOI comes while a guest's write, or a reset, takes its time
  std::unique_ptr<IntxRelay> relay_ PASSTHRU_GUARDED_BY(relay_mutex_);
  Fd idle_;   ///< a second interrupt on the line, which never fires: the VMM signals its EOIs to
  Fd ended_;  ///< this one, which nobody else reads
  uint64_t delivered_ PASSTHRU_GUARDED_BY(relay_mutex_) = 0;
};

}  // namespace passthru
