// SPDX-License-Identifier: MIT
// The kernel repeats an unplug request every few seconds while the device stays open. It reports an
// error once.
#include "vfio/event_irqs.h"

#include <utility>

namespace passthru {

EventIrqs::EventIrqs(Kernel& kernel, std::shared_ptr<VfioDevice> device)
    : kernel_(kernel), device_(std::move(device)) {}

Result<std::unique_ptr<EventIrqs>> EventIrqs::make(std::shared_ptr<VfioDevice> device) {
  Kernel& kernel = device->kernel();
  std::unique_ptr<EventIrqs> notices(new EventIrqs(kernel, std::move(device)));
  PASSTHRU_TRY(notices->make(Irq::Error, notices->error_));
  PASSTHRU_TRY(notices->make(Irq::Request, notices->request_));
  return notices;
}

Result<void> EventIrqs::make(Irq irq, Fd& eventfd) {
  if (device_->irq(irq).count == 0) return {};
  eventfd = PASSTHRU_TRY(kernel_.make_eventfd());
  return {};
}

Result<void> EventIrqs::bind() {
  PASSTHRU_TRY(bind(Irq::Error, error_));
  bound_ = true;
  auto done = bind(Irq::Request, request_);
  if (!done) unbind(*device_);
  return done;
}

Result<void> EventIrqs::bind(Irq irq, const Fd& eventfd) {
  if (!eventfd) return {};
  const int fd = eventfd.get();
  return device_->bind_irqs(irq, 0, {&fd, 1});
}

void EventIrqs::unbind() {
  const auto device = std::exchange(device_, nullptr);
  if (device) unbind(*device);
}

// An index that is not bound refuses to be disabled.
void EventIrqs::unbind(VfioDevice& device) {
  if (!std::exchange(bound_, false)) return;
  constexpr const char* kWhy = "closing the device unbinds them as well";
  if (error_) ignore(device.disable_irqs(Irq::Error), kWhy);
  if (request_) ignore(device.disable_irqs(Irq::Request), kWhy);
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
