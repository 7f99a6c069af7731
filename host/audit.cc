// SPDX-License-Identifier: MIT
// Owns the audit's thread.
#include "host/audit.h"

#include <system_error>
#include <utility>

namespace passthru {

Audit::Audit(std::vector<AssignedDevice*> devices, std::chrono::milliseconds interval)
    : devices_(std::move(devices)), interval_(interval) {}

Result<std::unique_ptr<Audit>> Audit::start(std::vector<AssignedDevice*> devices,
                                            std::chrono::milliseconds interval) {
  std::unique_ptr<Audit> audit(new Audit(std::move(devices), interval));
  try {
    audit->thread_ = std::thread([audit = audit.get()] { audit->run(); });
  } catch (const std::system_error& error) {
    return fail(error.code().value(), "start the audit's thread");
  }
  return audit;
}

Audit::~Audit() {
  {
    const std::lock_guard lock(stop_mutex_);
    stopping_ = true;
  }
  stop_.notify_one();
  if (thread_.joinable()) thread_.join();
}

void Audit::run() {
  std::unique_lock lock(stop_mutex_);
  while (!stop_.wait_for(lock, interval_, [this] { return stopping_; })) {
    lock.unlock();
    for (AssignedDevice* device : devices_) {
      ignore(device->rearm(), "the device has told its host, and is looked at again");
    }
    lock.lock();
  }
}

}  // namespace passthru
