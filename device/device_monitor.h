// SPDX-License-Identifier: MIT
// The threads that look after the devices of a VM. They check the devices regularly, to restore
// vectors that an unannounced reset has cleared, and they handle the host's events. Each device has
// its own thread, so that a slow device does not delay others. A VMM with a loop of its own calls
// AssignedDevice::check_health and handle_events instead.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "device/assigned_device.h"

namespace passthru {

/// All calls are thread-safe. `remove` and the destructor wait for the threads. They must not be
/// called from inside a call of Hypervisor or from inside an access: a thread may wait for that
/// call.
class DeviceMonitor {
 public:
  /// A guest waits at most this long for an interrupt that was lost with its vector's entry.
  static constexpr std::chrono::milliseconds kDefaultInterval{100};
  /// No regular checks: only the host's events are handled. A device that does not answer after an
  /// event is checked at the default interval, until it answers or is detached.
  static constexpr std::chrono::milliseconds kOff{0};

  /// Checks `devices` every `interval` and handles the host's events, on a thread for each device.
  /// `add` and `remove` change the devices later. Hypervisor::on_event receives what was restored
  /// and what could not be restored. An error leaves no thread.
  ///
  /// Errors: those of `add`.
  static Result<std::unique_ptr<DeviceMonitor>> start(std::vector<AssignedDevice*> devices,
                                                      std::chrono::milliseconds interval);
  /// Stops it.
  ~DeviceMonitor() { stop(); }
  DeviceMonitor(const DeviceMonitor&) = delete;
  DeviceMonitor& operator=(const DeviceMonitor&) = delete;

  /// Starts a thread that looks after `device` until `remove`, or until this object is destroyed.
  /// `device` must outlive that. Waits for no device.
  ///
  /// Errors:
  /// - EEXIST: the monitor has the device, or has not finished removing it.
  /// - EAGAIN: the system cannot create a thread.
  /// - EMFILE: no descriptor is left.
  Result<void> add(AssignedDevice& device) PASSTHRU_EXCLUDES(threads_mutex_);

  /// Ends the thread of `device`, and returns when it has ended: the device may then be destroyed.
  /// The other threads go on. Does nothing if the monitor does not have the device.
  ///
  /// Waits for the `check_health` or `handle_events` of the device that is running. docs/threads.md
  /// says how long these take.
  void remove(AssignedDevice& device) PASSTHRU_EXCLUDES(threads_mutex_);

  /// Ends all threads. Waits as `remove` does, for all devices at once. `add` must not run
  /// meanwhile.
  void stop() PASSTHRU_EXCLUDES(threads_mutex_);

 private:
  class DeviceThread;

  explicit DeviceMonitor(std::chrono::milliseconds interval) : interval_(interval) {}

  const std::chrono::milliseconds interval_;
  Mutex threads_mutex_;  ///< never held while a thread ends
  std::map<const AssignedDevice*, std::shared_ptr<DeviceThread>> threads_
      PASSTHRU_GUARDED_BY(threads_mutex_);
};

}  // namespace passthru
