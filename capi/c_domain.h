// SPDX-License-Identifier: MIT
// What the handles of the C interface stand for: a domain with its devices and services, and a
// device.
#pragma once

#include <sys/types.h>

#include <atomic>
#include <chrono>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "capi/callback_hypervisor.h"
#include "capi/handle_table.h"
#include "device/assigned_device.h"
#include "device/device_monitor.h"
#include "device/domain.h"
#include "inspect/inspect_server.h"
#include "inspect/inspect_socket.h"
#include "passthru/passthru.h"
#include "pci/sysfs.h"
#include "vfio/kernel.h"

namespace passthru {

/// An assigned device and the handle of its domain.
struct CDevice {
  passthru_domain* domain = nullptr;
  std::unique_ptr<AssignedDevice> device{};
};

/// A domain of the C interface. Thread-safe.
class CDomain {
 public:
  CDomain(std::shared_ptr<Kernel> kernel, Sysfs sysfs,
          std::unique_ptr<CallbackHypervisor> hypervisor);

  [[nodiscard]] CallbackHypervisor& hypervisor() { return *hypervisor_; }
  [[nodiscard]] Domain& domain() { return domain_; }

  /// Adds a device that was opened in `domain()`: the audit and the inspect socket know it from now
  /// on. On an error neither knows it. Waits for no other device.
  ///
  /// Errors: those of DeviceMonitor::add and InspectServer::add.
  Result<void> add(passthru_device* handle, AssignedDevice& device)
      PASSTHRU_EXCLUDES(devices_mutex_);
  /// Removes a device. On return no service uses it. Waits for the services' calls of this device
  /// that are under way. Calls for other devices do not wait meanwhile.
  void remove(passthru_device* handle, AssignedDevice& device) PASSTHRU_EXCLUDES(devices_mutex_);
  /// Returns the handles of the devices.
  [[nodiscard]] std::set<passthru_device*> devices() PASSTHRU_EXCLUDES(devices_mutex_);

  Result<void> start_audit(std::chrono::milliseconds interval) PASSTHRU_EXCLUDES(devices_mutex_);
  /// On return the audit's threads have ended.
  void stop_audit() PASSTHRU_EXCLUDES(devices_mutex_);
  /// Lets a group connect to the inspect socket that is served later.
  ///
  /// Errors:
  /// - EBUSY: the domain serves a socket already.
  Result<void> allow_group(gid_t group) PASSTHRU_EXCLUDES(devices_mutex_);
  /// Serves the inspect socket, on a thread of its own or from the VMM's loop.
  Result<void> serve(const std::string& path, bool own_loop) PASSTHRU_EXCLUDES(devices_mutex_);
  /// Returns the server that the VMM's loop drives, or null.
  [[nodiscard]] InspectServer* looped_server() { return looped_server_; }

  /// Gives the domain a forwarder that the calling thread drives. Returns the descriptor to poll.
  Result<int> drive_forwarder();
  /// Returns that forwarder, or null.
  [[nodiscard]] Forwarder* driven_forwarder() { return driven_forwarder_; }

 private:
  using Monitors = std::set<std::shared_ptr<DeviceMonitor>>;

  Result<void> add_to_services(passthru_device* handle, AssignedDevice& device)
      PASSTHRU_EXCLUDES(devices_mutex_);
  [[nodiscard]] std::vector<AssignedDevice*> all_devices() const PASSTHRU_REQUIRES(devices_mutex_);

  const std::unique_ptr<CallbackHypervisor> hypervisor_;
  Domain domain_;
  /// Protects the devices and the services that look after them. Never held while a call waits for
  /// a device.
  Mutex devices_mutex_;
  std::map<passthru_device*, AssignedDevice*> devices_ PASSTHRU_GUARDED_BY(devices_mutex_);
  std::shared_ptr<DeviceMonitor> monitor_ PASSTHRU_GUARDED_BY(devices_mutex_);
  /// The monitors that a `stop_audit` waits for. Their threads may still use devices.
  Monitors stopping_ PASSTHRU_GUARDED_BY(devices_mutex_);
  InspectAccess inspect_access_ PASSTHRU_GUARDED_BY(devices_mutex_);
  std::unique_ptr<InspectServer> server_ PASSTHRU_GUARDED_BY(devices_mutex_);  ///< never replaced
  std::atomic<InspectServer*> looped_server_{nullptr};
  std::atomic<Forwarder*> driven_forwarder_{nullptr};
};

using DomainTable = HandleTable<CDomain, passthru_domain, 1>;
using DeviceTable = HandleTable<CDevice, passthru_device, 2>;
/// The domains and devices of this process. They are never destroyed: a thread may still call the
/// library while the process exits.
DomainTable& domains();
DeviceTable& devices();

/// Creates a domain on a kernel and a sysfs tree, for the C interface and for tests.
Result<passthru_domain*> make_domain(std::shared_ptr<Kernel> kernel, Sysfs sysfs,
                                     const passthru_callbacks* callbacks, void* vmm,
                                     CallbackOptions options);

/// Closes a device of a domain in use. Returns whether this call closed it.
bool close_device(CDomain& domain, passthru_device* handle);

}  // namespace passthru
