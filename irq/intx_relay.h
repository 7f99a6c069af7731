// SPDX-License-Identifier: MIT
// Owns INTx on its way to a VMM that has no resampling irqfd: the forwarder carries the kernel's
// signal to the guest's line. Used by irq/intx, which unmasks the pin when the guest is done.
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
  /// From now on each signal of `trigger` raises `pin` (0 = INTA#) of `guest_address`; a counter
  /// that is not 0 now does so at once. Errors: those of ForwardingRouter::forwarder and
  /// Forwarder::add.
  static Result<std::unique_ptr<IntxRelay>> start(ForwardingRouter& router, Bdf guest_address,
                                                  unsigned pin, int trigger);
  /// The line is low.
  ~IntxRelay();
  IntxRelay(const IntxRelay&) = delete;
  IntxRelay& operator=(const IntxRelay&) = delete;

  /// Takes the line down. Returns whether this device had raised it: then the kernel has masked the
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
  Mutex line_mutex_;  ///< held while the VMM takes a level, so that levels do not overtake
  bool raised_ PASSTHRU_GUARDED_BY(line_mutex_) = false;
};

}  // namespace passthru
