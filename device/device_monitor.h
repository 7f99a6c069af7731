// SPDX-License-Identifier: MIT
// The threads that look after the devices of a VM. They check the devices regularly, to restore
// vectors that an unannounced reset has cleared, and they handle the host's events. Each device has
// its own thread, so that a slow device does not delay others. A VMM with a loop of its own calls
// AssignedDevice::check_health and handle_events instead.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "device/assigned_device.h"

namespace passthru {

class DeviceMonitor {
 public:
  /// A guest waits at most this long for an interrupt that was lost with its vector's entry.
  static constexpr std::chrono::milliseconds kDefaultInterval{100};
  /// No regular checks: only the host's events are handled.
  static constexpr std::chrono::milliseconds kOff{0};

  /// Checks `devices` every `interval` and handles the host's events, on a thread for each device,
  /// until this object is destroyed. `devices` must outlive it. Hypervisor::on_event receives what
  /// was restored and what could not be restored.
  ///
  /// Errors:
  /// - EAGAIN: the system cannot create a thread.
  /// - EMFILE: no descriptor is left.
  static Result<std::unique_ptr<DeviceMonitor>> start(std::vector<AssignedDevice*> devices,
                                                      std::chrono::milliseconds interval);
  ~DeviceMonitor();
  DeviceMonitor(const DeviceMonitor&) = delete;
  DeviceMonitor& operator=(const DeviceMonitor&) = delete;

 private:
  DeviceMonitor(std::chrono::milliseconds interval, Fd stop);
  void look_after(AssignedDevice& device) const;

  const std::chrono::milliseconds interval_;
  std::atomic<bool> stopping_{false};
  const Fd stop_;  ///< eventfd; its counter is never read
  std::vector<std::thread> threads_;
};

}  // namespace passthru
