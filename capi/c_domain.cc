// SPDX-License-Identifier: MIT
#include "capi/c_domain.h"

#include <utility>
#include <vector>

#include "capi/sized_struct.h"
#include "capi/struct_sizes.h"

namespace passthru {

DomainTable& domains() {
  static auto& table = *new DomainTable;
  return table;
}

DeviceTable& devices() {
  static auto& table = *new DeviceTable;
  return table;
}

CDomain::CDomain(std::shared_ptr<Kernel> kernel, Sysfs sysfs,
                 std::unique_ptr<CallbackHypervisor> hypervisor)
    : hypervisor_(std::move(hypervisor)),
      domain_(std::move(kernel), *hypervisor_, std::move(sysfs)) {}

Result<void> CDomain::add(passthru_device* handle, AssignedDevice& device) {
  auto added = add_to_services(handle, device);
  if (!added) remove(handle, device);
  return added;
}

Result<void> CDomain::add_to_services(passthru_device* handle, AssignedDevice& device) {
  MutexLock lock(devices_mutex_);
  devices_[handle] = &device;
  if (monitor_) PASSTHRU_TRY(monitor_->add(device));
  if (server_) PASSTHRU_TRY(server_->add(device));
  return {};
}

void CDomain::remove(passthru_device* handle, AssignedDevice& device) {
  Monitors monitors;
  InspectServer* server = nullptr;
  {
    MutexLock lock(devices_mutex_);
    devices_.erase(handle);
    monitors = stopping_;
    if (monitor_) monitors.insert(monitor_);
    server = server_.get();
  }
  for (const auto& monitor : monitors) monitor->remove(device);
  if (server != nullptr) server->remove(device);
}

std::set<passthru_device*> CDomain::devices() {
  MutexLock lock(devices_mutex_);
  std::set<passthru_device*> handles;
  for (const auto& [handle, device] : devices_) handles.insert(handle);
  return handles;
}

std::vector<AssignedDevice*> CDomain::all_devices() const {
  std::vector<AssignedDevice*> all;
  for (const auto& [handle, device] : devices_) all.push_back(device);
  return all;
}

Result<void> CDomain::start_audit(std::chrono::milliseconds interval) {
  MutexLock lock(devices_mutex_);
  if (monitor_) return fail(EBUSY, "start the audit", "it runs already");
  monitor_ = PASSTHRU_TRY(DeviceMonitor::start(all_devices(), interval));
  return {};
}

// A `remove` in another thread may still use a monitor, so its threads are stopped here. They still
// use their devices meanwhile, so `remove` waits for them too.
void CDomain::stop_audit() {
  Monitors stopped;
  {
    MutexLock lock(devices_mutex_);
    if (monitor_) stopping_.insert(std::exchange(monitor_, nullptr));
    stopped = stopping_;
  }
  for (const auto& monitor : stopped) monitor->stop();
  MutexLock lock(devices_mutex_);
  for (const auto& monitor : stopped) stopping_.erase(monitor);
}

Result<void> CDomain::allow_group(gid_t group) {
  MutexLock lock(devices_mutex_);
  if (server_) return fail(EBUSY, "set the group of the inspect socket", "it is served already");
  constexpr mode_t kOwnerAndGroup = 0660;
  inspect_access_.group = group;
  inspect_access_.mode = kOwnerAndGroup;
  return {};
}

Result<void> CDomain::serve(const std::string& path, bool own_loop) {
  MutexLock lock(devices_mutex_);
  if (server_) return fail(EBUSY, "serve the inspect socket", "the domain serves one already");
  server_ =
      PASSTHRU_TRY(own_loop ? InspectServer::open(domain_, all_devices(), path, inspect_access_)
                            : InspectServer::start(domain_, all_devices(), path, inspect_access_));
  if (own_loop) looped_server_ = server_.get();
  return {};
}

Result<int> CDomain::drive_forwarder() {
  auto forwarder = PASSTHRU_TRY(Forwarder::make());
  const int fd = PASSTHRU_TRY(forwarder->poll_fd());
  Forwarder* driven = forwarder.get();
  PASSTHRU_TRY(domain_.interrupts().adopt(std::move(forwarder)));
  driven_forwarder_ = driven;
  return fd;
}

Result<passthru_domain*> make_domain(std::shared_ptr<Kernel> kernel, Sysfs sysfs,
                                     const passthru_callbacks* callbacks, void* vmm,
                                     CallbackOptions options) {
  constexpr const char* kOperation = "create a domain";
  passthru_callbacks known{};
  if (callbacks != nullptr) {
    known = PASSTHRU_TRY(read_struct(callbacks, kCallbacksSize, kOperation));
  }
  auto hypervisor = PASSTHRU_TRY(CallbackHypervisor::create(known, vmm, std::move(options)));
  passthru_domain* handle = domains().add(
      std::make_unique<CDomain>(std::move(kernel), std::move(sysfs), std::move(hypervisor)));
  if (handle == nullptr) return fail(ENFILE, kOperation, "this process has too many domains");
  return handle;
}

bool close_device(CDomain& domain, passthru_device* handle) {
  {
    // The services call the device, so they drop it before its handle waits for its users.
    const auto use = devices().find(handle);
    if (!use) return false;
    domain.remove(handle, *use->device);
  }
  return devices().remove(handle) != nullptr;
}

}  // namespace passthru
