// SPDX-License-Identifier: MIT
// The kernel repeats an unplug request every few seconds while the device stays open. It reports an
// error once.
#include "vfio/event_irqs.h"

#include <utility>

namespace passthru {

EventIrqs::EventIrqs(Kernel& kernel, std::shared_ptr<VfioDevice> device)
    : kernel_(kernel), device_(std::move(device)) {}

Result<std::unique_ptr<EventIrqs>> EventIrqs::bind(std::shared_ptr<VfioDevice> device) {
  Kernel& kernel = device->kernel();
  std::unique_ptr<EventIrqs> notices(new EventIrqs(kernel, std::move(device)));
  PASSTHRU_TRY(notices->bind(Irq::Error, notices->error_));
  PASSTHRU_TRY(notices->bind(Irq::Request, notices->request_));
  return notices;
}

Result<void> EventIrqs::bind(Irq irq, Fd& eventfd) {
  if (device_->irq(irq).count == 0) return {};
  Fd made = PASSTHRU_TRY(kernel_.make_eventfd());
  const int fd = made.get();
  PASSTHRU_TRY(device_->bind_irqs(irq, 0, {&fd, 1}));
  eventfd = std::move(made);
  return {};
}

void EventIrqs::unbind() {
  const auto device = std::exchange(device_, nullptr);
  if (!device) return;
  constexpr const char* kWhy = "closing the device unbinds them as well";
  if (error_) ignore(device->disable_irqs(Irq::Error), kWhy);
  if (request_) ignore(device->disable_irqs(Irq::Request), kWhy);
}

std::vector<int> EventIrqs::fds() const {
  std::vector<int> fds;
  for (const Fd* fd : {&error_, &request_}) {
    if (*fd) fds.push_back(fd->get());
  }
  return fds;
}

FiredEvents EventIrqs::take() {
  return {.error = drain(error_), .unplug = drain(request_)};
}

bool EventIrqs::drain(const Fd& eventfd) {
  return eventfd && kernel_.drain_eventfd(eventfd.get()).value_or(0) != 0;
}

}  // namespace passthru
