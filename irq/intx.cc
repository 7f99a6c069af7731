// SPDX-License-Identifier: MIT
// The order of binding INTx: VFIO first, because only an enabled INTx takes an unmask eventfd. An
// interrupt before the VMM is armed waits in the counter, masked.
#include "irq/intx.h"

#include <utility>

namespace passthru {

Intx::Intx(std::shared_ptr<VfioDevice> device, ForwardingRouter& router, Bdf guest_address,
           unsigned pin)
    : device_(std::move(device)), router_(router), guest_address_(guest_address), pin_(pin) {}

Result<void> Intx::enable() {
  if (enabled()) return {};
  PASSTHRU_TRY(device_->check_identity());
  // The kernel takes no second unmask eventfd.
  if (left_enabled_) PASSTHRU_TRY(device_->disable_irqs(Irq::Intx));
  left_enabled_ = false;
  Fd trigger = PASSTHRU_TRY(device_->kernel().make_eventfd());
  const int trigger_fd = trigger.get();
  PASSTHRU_TRY(device_->bind_irqs(Irq::Intx, 0, {&trigger_fd, 1}));
  if (auto done = router_.intx().intx_by_level() ? relay(trigger_fd) : arm(trigger_fd); !done) {
    left_enabled_ = !device_->disable_irqs(Irq::Intx);
    return done;
  }
  trigger_ = std::move(trigger);
  return {};
}

Result<void> Intx::arm(int trigger) {
  Fd unmask = PASSTHRU_TRY(device_->kernel().make_eventfd());
  PASSTHRU_TRY(device_->bind_unmask_eventfd(Irq::Intx, unmask.get()));
  PASSTHRU_TRY(router_.intx().arm_intx(guest_address_, pin_, trigger, unmask.get()));
  unmask_ = std::move(unmask);
  count_ends();
  return {};
}

// The kernel reads the unmask eventfd, so its counter shows nothing.
void Intx::count_ends() {
  auto idle = device_->kernel().make_eventfd();
  auto ended = device_->kernel().make_eventfd();
  if (!idle || !ended) return;
  if (!router_.intx().arm_intx(guest_address_, pin_, idle->get(), ended->get())) return;
  idle_ = std::move(*idle);
  ended_ = std::move(*ended);
}

uint64_t Intx::delivered() {
  MutexLock lock(relay_mutex_);
  if (ended_) delivered_ += device_->kernel().drain_eventfd(ended_.get()).value_or(0);
  return delivered_;
}

Result<void> Intx::relay(int trigger) {
  // Under the lock: the guest may end an interrupt before `start` returns, and its EOI must find
  // the relay.
  MutexLock lock(relay_mutex_);
  relay_ = PASSTHRU_TRY(IntxRelay::start(router_, guest_address_, pin_, trigger));
  return {};
}

void Intx::disable() {
  if (!enabled()) return;
  disarm();
  left_enabled_ = !device_->disable_irqs(Irq::Intx);
  trigger_.reset();
  unmask_.reset();
}

// The kernel takes the next unmask eventfd only after this one is unbound.
void Intx::leave() {
  if (!enabled()) return;
  disarm();
  if (unmask_) {
    ignore(device_->bind_unmask_eventfd(Irq::Intx, -1), "the next process reports the failure");
  }
  trigger_.reset();
  unmask_.reset();
}

Result<void> Intx::unmask() {
  return device_->act_on_irqs(Irq::Intx, IrqAction::Unmask, 0, 1);
}

void Intx::disarm() {
  std::unique_ptr<IntxRelay> relay;
  {
    MutexLock lock(relay_mutex_);
    relay = std::move(relay_);
  }
  if (relay) {
    relay.reset();
  } else {
    // The VMM lowers the line when the last of the two is disarmed.
    if (idle_) router_.intx().disarm_intx(guest_address_, pin_, idle_.get());
    router_.intx().disarm_intx(guest_address_, pin_, trigger_.get());
  }
  static_cast<void>(delivered());  // adds the EOIs counted so far
  idle_.reset();
  ended_.reset();
}

// Under the lock: a concurrent `disable` takes the interrupt away after this.
Result<void> Intx::end_of_interrupt() {
  MutexLock lock(relay_mutex_);
  if (!relay_ || !relay_->lower()) return {};
  ++delivered_;
  return unmask();
}

}  // namespace passthru
