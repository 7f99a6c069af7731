// SPDX-License-Identifier: MIT
// Owns the threads that look after the devices of a VM: regularly, to restore what a reset nobody
// announced has cleared, and whenever the host has something to say about one. Each device has a
// thread, so that one that is slow holds up no other. A VMM with a loop of its own calls
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
  /// No regular look: only what the host says is heard.
  static constexpr std::chrono::milliseconds kOff{0};

  /// Looks at `devices` every `interval`, and passes on what the host says of them, until it is
  /// destroyed; they outlive it. What is found and restored, and what cannot be, goes to
  /// Hypervisor::on_event, on a thread for each device. EAGAIN: no thread can be had; EMFILE: no
  /// descriptor.
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
  const Fd stop_;  ///< eventfd; nobody takes its counter
  std::vector<std::thread> threads_;
};

}  // namespace passthru
