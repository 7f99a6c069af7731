// SPDX-License-Identifier: MIT
// INTx for a VMM without resampling irqfds: the forwarder carries the kernel's signal to the
// guest's line. Intx (irq/intx.h) unmasks the pin at the guest's EOI.
#pragma once

#include <memory>

#include "base/mutex.h"
#include "base/result.h"
#include "irq/forward/forwarder.h"
#include "irq/forwarding_router.h"
#include "pci/bdf.h"

namespace passthru {

class IntxRelay {
 public:
  /// Starts a relay: each signal of `trigger` raises `pin` (0 = INTA#) of `guest_address`. A
  /// counter that is not 0 already raises it at once. Errors: those of ForwardingRouter::forwarder
  /// and Forwarder::add.
  static Result<std::unique_ptr<IntxRelay>> start(ForwardingRouter& router, Bdf guest_address,
                                                  unsigned pin, int trigger);
  /// Lowers the line.
  ~IntxRelay();
  IntxRelay(const IntxRelay&) = delete;
  IntxRelay& operator=(const IntxRelay&) = delete;

  /// Lowers the line. Returns whether this device had raised it; the kernel has then masked the
  /// pin.
  bool lower() PASSTHRU_EXCLUDES(line_mutex_);

 private:
  IntxRelay(Router& vmm, Forwarder& forwarder, Bdf guest_address, unsigned pin);
  void raise() PASSTHRU_EXCLUDES(line_mutex_);

  Router& vmm_;
  Forwarder& forwarder_;
  const Bdf guest_address_;
  const unsigned pin_;
  SourceId source_ = 0;
  Mutex line_mutex_;  ///< held while the VMM sets a level, so that levels stay in order
  bool raised_ PASSTHRU_GUARDED_BY(line_mutex_) = false;
};

}  // namespace passthru
