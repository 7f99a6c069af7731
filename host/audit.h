// SPDX-License-Identifier: MIT
// Owns the regular look at the interrupts of a VM's devices: a thread that restores what a reset
// nobody announced has cleared. A VMM with a timer of its own calls AssignedDevice::rearm instead.
#pragma once

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "host/assigned_device.h"
#include "vfio/result.h"

namespace passthru {

class Audit {
 public:
  /// A guest waits at most this long for an interrupt that was lost with its vector's entry.
  static constexpr std::chrono::milliseconds kDefaultInterval{100};

  /// Looks at `devices` every `interval` until it is destroyed; they outlive it. What is found and
  /// restored, and what cannot be, goes to Host::on_event, on this thread. EAGAIN: no thread can be
  /// had.
  static Result<std::unique_ptr<Audit>> start(std::vector<AssignedDevice*> devices,
                                              std::chrono::milliseconds interval);
  ~Audit();
  Audit(const Audit&) = delete;
  Audit& operator=(const Audit&) = delete;

 private:
  Audit(std::vector<AssignedDevice*> devices, std::chrono::milliseconds interval);
  void run();

  const std::vector<AssignedDevice*> devices_;
  const std::chrono::milliseconds interval_;
  std::mutex stop_mutex_;  ///< protects stopping_; std's, for the condition variable
  std::condition_variable stop_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace passthru
