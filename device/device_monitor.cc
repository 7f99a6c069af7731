// SPDX-License-Identifier: MIT
// A thread sleeps until the next check is due, the host sends an event, or the monitor ends.
// Frequent events do not delay the check.
#include "device/device_monitor.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <utility>

#include "base/thread.h"

namespace passthru {
namespace {

/// The pause after a failed poll.
constexpr std::chrono::milliseconds kAfterFailure{10};

}  // namespace

DeviceMonitor::DeviceMonitor(std::chrono::milliseconds interval, Fd stop)
    : interval_(interval), stop_(std::move(stop)) {}

Result<std::unique_ptr<DeviceMonitor>> DeviceMonitor::start(std::vector<AssignedDevice*> devices,
                                                            std::chrono::milliseconds interval) {
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail(errno, "create an eventfd");
  std::unique_ptr<DeviceMonitor> audit(new DeviceMonitor(interval, std::move(stop)));
  for (AssignedDevice* device : devices) {
    audit->threads_.push_back(PASSTHRU_TRY(start_thread_signals_blocked(
        "start the thread of the device monitor",
        [audit = audit.get(), device] { audit->look_after(*device); })));
  }
  return audit;
}

DeviceMonitor::~DeviceMonitor() {
  stopping_ = true;
  ::eventfd_write(stop_.get(), 1);
  for (std::thread& thread : threads_) thread.join();
}

void DeviceMonitor::look_after(AssignedDevice& device) const {
  using Clock = std::chrono::steady_clock;
  std::vector<pollfd> ready = {{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  for (int fd : device.event_fds()) ready.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  auto due = Clock::now() + interval_;
  for (;;) {
    // Rounded up: a wait that ends too early would be repeated at once.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    const auto wait = interval_ == kOff ? -1 : std::clamp<int64_t>(left.count(), 0, INT_MAX);
    const int said = ::poll(ready.data(), ready.size(), static_cast<int>(wait));
    const bool failed = said < 0 && errno != EINTR;
    // poll fails if the kernel has no memory, or if RLIMIT_NOFILE was lowered. The thread serves
    // the device all the same.
    if (failed) std::this_thread::sleep_for(kAfterFailure);
    if (stopping_) return;
    bool speaks = failed;
    for (pollfd& each : ready) speaks |= std::exchange(each.revents, short{0}) != 0;
    if (speaks) device.handle_events();
    if (interval_ == kOff || Clock::now() < due) continue;
    ignore(device.check_health(), "check_health has reported it; the monitor checks again");
    due = Clock::now() + interval_;
  }
}

}  // namespace passthru
