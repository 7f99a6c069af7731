// SPDX-License-Identifier: MIT
// Owns the thread. It sleeps until the next look is due, the host speaks, or it is to end; a host
// that speaks all the time does not put off the look.
#include "host/audit.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

#include "vfio/quiet_thread.h"

namespace passthru {

Audit::Audit(std::vector<AssignedDevice*> devices, std::chrono::milliseconds interval, Fd stop)
    : devices_(std::move(devices)), interval_(interval), stop_(std::move(stop)) {}

Result<std::unique_ptr<Audit>> Audit::start(std::vector<AssignedDevice*> devices,
                                            std::chrono::milliseconds interval) {
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail(errno, "eventfd");
  std::unique_ptr<Audit> audit(new Audit(std::move(devices), interval, std::move(stop)));
  audit->thread_ = PASSTHRU_TRY(
      start_quiet_thread("start the audit's thread", [audit = audit.get()] { audit->run(); }));
  return audit;
}

Audit::~Audit() {
  if (!thread_.joinable()) return;
  ::eventfd_write(stop_.get(), 1);
  thread_.join();
}

void Audit::run() {
  using Clock = std::chrono::steady_clock;
  std::vector<pollfd> ready = {{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  std::vector<AssignedDevice*> speaks = {nullptr};  // whose descriptor each of `ready` is
  for (AssignedDevice* device : devices_) {
    for (int fd : device->event_fds()) {
      ready.push_back({.fd = fd, .events = POLLIN, .revents = 0});
      speaks.push_back(device);
    }
  }
  auto due = Clock::now() + interval_;
  for (;;) {
    // Rounded up: a wait that ends too early would be repeated at once.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    const auto wait = interval_ == kOff ? -1 : std::clamp<int64_t>(left.count(), 0, INT_MAX);
    if (::poll(ready.data(), ready.size(), static_cast<int>(wait)) < 0 && errno != EINTR) return;
    if (ready[0].revents != 0) return;
    for (size_t i = 1; i < ready.size(); ++i) {
      if (std::exchange(ready[i].revents, short{0}) != 0) speaks[i]->handle_events();
    }
    if (interval_ == kOff || Clock::now() < due) continue;
    for (AssignedDevice* device : devices_) {
      ignore(device->rearm(), "the device has told its host, and is looked at again");
    }
    due = Clock::now() + interval_;
  }
}

}  // namespace passthru
