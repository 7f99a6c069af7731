// SPDX-License-Identifier: MIT
// The line's level. The kernel masks the pin when it is asserted, so each EOI of the guest costs at
// most one delivery.
#include "irq/intx_relay.h"

#include <utility>

namespace passthru {

Result<std::unique_ptr<IntxRelay>> IntxRelay::start(ForwardingRouter& router, Bdf guest_address,
                                                    unsigned pin, int trigger) {
  Forwarder* const forwarder = PASSTHRU_TRY(router.forwarder());
  std::unique_ptr<IntxRelay> relay(new IntxRelay(router.intx(), *forwarder, guest_address, pin));
  relay->source_ = PASSTHRU_TRY(
      forwarder->add(trigger, {.call = [relay = relay.get()](uint64_t) { relay->raise(); }}));
  return relay;
}

IntxRelay::IntxRelay(Router& vmm, Forwarder& forwarder, Bdf guest_address, unsigned pin)
    : vmm_(vmm), forwarder_(forwarder), guest_address_(guest_address), pin_(pin) {}

IntxRelay::~IntxRelay() {
  forwarder_.remove(source_);
  lower();
}

void IntxRelay::raise() {
  MutexLock lock(line_mutex_);
  raised_ = true;
  vmm_.set_intx(guest_address_, pin_, true);
}

bool IntxRelay::lower() {
  MutexLock lock(line_mutex_);
  if (!std::exchange(raised_, false)) return false;
  vmm_.set_intx(guest_address_, pin_, false);
  return true;
}

}  // namespace passthru
