// SPDX-License-Identifier: MIT
// A thread sleeps until the next check is due, the host sends an event, or the thread must end.
// Frequent events do not delay the check.
#include "device/device_monitor.h"

#include <poll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdint>
#include <thread>
#include <utility>

#include "base/fd.h"
#include "base/thread.h"

namespace passthru {
namespace {

/// The pause after a failed poll.
constexpr std::chrono::milliseconds kAfterFailure{10};

}  // namespace

/// The thread of one device.
class DeviceMonitor::DeviceThread {
 public:
  DeviceThread(AssignedDevice& device, std::chrono::milliseconds interval, Fd stop)
      : device_(device), interval_(interval), stop_(std::move(stop)) {}
  ~DeviceThread() { end(); }
  DeviceThread(const DeviceThread&) = delete;
  DeviceThread& operator=(const DeviceThread&) = delete;

  Result<void> start() PASSTHRU_EXCLUDES(thread_mutex_) {
    MutexLock lock(thread_mutex_);
    thread_ = PASSTHRU_TRY(
        start_thread_signals_blocked("start the thread of the device monitor", [this] { run(); }));
    return {};
  }
  /// Makes the thread end soon. Does not wait.
  void stop() {
    stopping_ = true;
    ::eventfd_write(stop_.get(), 1);
  }
  /// Returns when the thread has ended. Several threads may call it.
  void end() PASSTHRU_EXCLUDES(thread_mutex_) {
    stop();
    MutexLock lock(thread_mutex_);
    if (thread_.joinable()) thread_.join();
  }

 private:
  void run();

  AssignedDevice& device_;
  const std::chrono::milliseconds interval_;
  const Fd stop_;  ///< eventfd; its counter is never read
  std::atomic<bool> stopping_{false};
  Mutex thread_mutex_;  ///< the thread itself never takes it
  std::thread thread_ PASSTHRU_GUARDED_BY(thread_mutex_);
};

void DeviceMonitor::DeviceThread::run() {
  using Clock = std::chrono::steady_clock;
  std::vector<pollfd> ready = {{.fd = stop_.get(), .events = POLLIN, .revents = 0}};
  for (int fd : device_.event_fds()) ready.push_back({.fd = fd, .events = POLLIN, .revents = 0});
  const auto pause = interval_ == kOff ? kDefaultInterval : interval_;
  auto due = Clock::now() + pause;
  for (;;) {
    const bool checks = interval_ != kOff || device_.is_silent();
    // Rounded up: a wait that ends too early would be repeated at once.
    const auto left = std::chrono::ceil<std::chrono::milliseconds>(due - Clock::now());
    const auto wait = checks ? std::clamp<int64_t>(left.count(), 0, INT_MAX) : -1;
    const int said = ::poll(ready.data(), ready.size(), static_cast<int>(wait));
    const bool failed = said < 0 && errno != EINTR;
    // poll fails if the kernel has no memory, or if RLIMIT_NOFILE was lowered. The thread serves
    // the device all the same.
    if (failed) std::this_thread::sleep_for(kAfterFailure);
    if (stopping_) return;
    bool speaks = failed;
    for (pollfd& each : ready) speaks |= std::exchange(each.revents, short{0}) != 0;
    if (speaks) device_.handle_events();
    if (!checks || Clock::now() < due) continue;
    ignore(device_.check_health(), "check_health has reported it; the monitor checks again");
    due = Clock::now() + pause;
  }
}

Result<std::unique_ptr<DeviceMonitor>> DeviceMonitor::start(std::vector<AssignedDevice*> devices,
                                                            std::chrono::milliseconds interval) {
  std::unique_ptr<DeviceMonitor> monitor(new DeviceMonitor(interval));
  for (AssignedDevice* device : devices) PASSTHRU_TRY(monitor->add(*device));
  return monitor;
}

void DeviceMonitor::stop() {
  std::vector<std::shared_ptr<DeviceThread>> all;
  {
    MutexLock lock(threads_mutex_);
    for (const auto& [device, thread] : threads_) all.push_back(thread);
  }
  for (const auto& thread : all) thread->stop();
  for (const auto& thread : all) thread->end();
}

Result<void> DeviceMonitor::add(AssignedDevice& device) {
  MutexLock lock(threads_mutex_);
  if (threads_.contains(&device)) {
    return tl::unexpected(Error{.code = EEXIST,
                                .operation = "add a device to the monitor",
                                .device = device.bdf().str(),
                                .cause = "the monitor has the device already"});
  }
  Fd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop) return fail(errno, "create an eventfd");
  const auto thread = std::make_shared<DeviceThread>(device, interval_, std::move(stop));
  PASSTHRU_TRY(thread->start());
  threads_.emplace(&device, thread);
  return {};
}

// The entry stays until the thread has ended, so that a second `remove` of the device waits too.
void DeviceMonitor::remove(AssignedDevice& device) {
  std::shared_ptr<DeviceThread> thread;
  {
    MutexLock lock(threads_mutex_);
    const auto found = threads_.find(&device);
    if (found == threads_.end()) return;
    thread = found->second;
  }
  thread->end();
  MutexLock lock(threads_mutex_);
  // Another thread may have removed the device meanwhile, and added it again.
  const auto found = threads_.find(&device);
  if (found != threads_.end() && found->second == thread) threads_.erase(found);
}

}  // namespace passthru
