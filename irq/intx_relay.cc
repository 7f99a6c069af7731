// SPDX-License-Identifier: MIT
// Owns the thread. It sleeps until the pin is asserted; the kernel masks the pin with that, so that
// each EOI of the guest costs at most one round.
#include "irq/intx_relay.h"

#include <poll.h>

#include <array>
#include <cerrno>
#include <system_error>
#include <utility>

namespace passthru {

Result<std::unique_ptr<IntxRelay>> IntxRelay::start(Kernel& kernel, Router& router,
                                                    Bdf guest_address, unsigned pin, int trigger) {
  Fd stop = PASSTHRU_TRY(kernel.make_eventfd());
  std::unique_ptr<IntxRelay> relay(
      new IntxRelay(kernel, router, guest_address, pin, trigger, std::move(stop)));
  try {
    relay->thread_ = std::thread([relay = relay.get()] { relay->run(); });
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start the thread that relays INTx");
  }
  return relay;
}

IntxRelay::IntxRelay(Kernel& kernel, Router& router, Bdf guest_address, unsigned pin, int trigger,
                     Fd stop)
    : kernel_(kernel),
      router_(router),
      guest_address_(guest_address),
      pin_(pin),
      trigger_(trigger),
      stop_(std::move(stop)) {}

IntxRelay::~IntxRelay() {
  if (!thread_.joinable()) return;
  ignore(kernel_.signal_eventfd(stop_.get()), "cannot fail: nobody else has it");
  thread_.join();
  lower();
}

void IntxRelay::run() {
  std::array<pollfd, 2> ready = {{{.fd = trigger_, .events = POLLIN, .revents = 0},
                                  {.fd = stop_.get(), .events = POLLIN, .revents = 0}}};
  for (;;) {
    if (::poll(ready.data(), ready.size(), -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    if (ready[1].revents != 0) return;
    const auto count = kernel_.drain_eventfd(trigger_);
    if (!count) return;  // no descriptor of ours fails so; but nothing may spin
    if (*count != 0) raise();
  }
}

void IntxRelay::raise() {
  MutexLock lock(line_mutex_);
  raised_ = true;
  router_.set_intx(guest_address_, pin_, true);
}

bool IntxRelay::lower() {
  MutexLock lock(line_mutex_);
  if (!std::exchange(raised_, false)) return false;
  router_.set_intx(guest_address_, pin_, false);
  return true;
}

}  // namespace passthru
