// SPDX-License-Identifier: MIT
// Hypervisor on KVM: memory slots for mapped BARs, irqfds and MSI routes for vectors, lines for
// INTx. Any VMM on KVM can use it as it is; vmm/ does. A VMM with its own routes gives them to the
// KvmHypervisor, because KVM takes one table with all routes.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "device/hypervisor.h"
#include "kvm/intx_lines.h"
#include "kvm/kvm_call.h"
#include "kvm/kvm_limits.h"
#include "kvm/kvm_vfio_device.h"
#include "kvm/number_pool.h"
#include "kvm/routing_table.h"

namespace passthru {

struct KvmHypervisorOptions {
  /// The first memory slot of the KvmHypervisor. The VMM's own RAM uses the slots below.
  uint32_t first_slot = 16;
  /// The first GSI of the KvmHypervisor. GSIs below are pins, or the VMM's.
  uint32_t first_gsi = 24;
  /// Whether the VM has KVM's own PIC and IOAPIC (KVM_CREATE_IRQCHIP). Their pins keep their
  /// routes: GSI n is pin n. False for a split irqchip, whose IOAPIC is the VMM's.
  bool irqchip_pins = true;
  /// The VMM's own MSI routes at the start. See KvmHypervisor::set_vmm_routes.
  MsiRoutes vmm_routes{};
  /// Returns the GSI that an INTx pin (0 = INTA#) of a guest's device is wired to, or why it is
  /// wired to none. If empty, INTx is not delivered.
  std::function<Result<uint32_t>(Bdf guest_address, unsigned pin)> intx_gsi{};
  /// Drives a pin of the VMM's own IOAPIC. If set, INTx goes there. When KVM reports the EOI of the
  /// pin (KVM_EXIT_IOAPIC_EOI), the VMM calls AssignedDevice::end_of_intx of each device on it.
  ///
  /// Must not call back into a device, nor wait for a thread that is in a call of a device.
  ///
  /// Required with a split irqchip, whose irqfds do not resample. KVM reports no EOI of a pin whose
  /// route is not among `vmm_routes`.
  std::function<void(uint32_t gsi, bool level)> set_line{};
  /// Allows interrupts to APICs with ids above 255. KVM then takes 32-bit destination ids
  /// (KVM_CAP_X2APIC_API, KVM_X2APIC_API_USE_32BIT_IDS) in routes and messages, and in the APIC
  /// states that the VMM itself gets and sets.
  ///
  /// A guest without interrupt remapping reaches ids up to 32,767 if the VMM offers it
  /// KVM_FEATURE_MSI_EXT_DEST_ID. The KvmHypervisor then reads messages accordingly.
  ///
  /// ENOTSUP on kernels before 4.7.
  bool extended_destinations = false;
  /// Sends MSI and MSI-X to KVM as messages (KVM_SIGNAL_MSI) through the forwarder, not by irqfd.
  /// For observing every interrupt of a guest; an irqfd is faster.
  bool msi_by_message = false;
  /// The VMM's own interrupt remapping, for a guest with a virtual IOMMU. Answers
  /// Hypervisor::translate instead of the KvmHypervisor. May be empty.
  std::function<Result<MsiMessage>(const MsiMessage&, uint16_t requester_id)> translate{};
  /// Receives every event, on the thread that caused it. May be empty.
  std::function<void(const Event&)> on_event{};
};

/// Hypervisor on KVM. Thread-safe. A RouteId is a GSI.
class KvmHypervisor final : public Hypervisor {
 public:
  /// Creates a KvmHypervisor for a VM whose irqchip exists already. The caller owns `vm_fd`, which
  /// must outlive the KvmHypervisor. From now on the VM's interrupt routes belong to the
  /// KvmHypervisor (KVM_SET_GSI_ROUTING replaces all of them). `calls` is for tests and must
  /// outlive it.
  ///
  /// Errors:
  /// - ENOTSUP: this KVM lacks irqfd, routing or KVM_SIGNAL_MSI.
  /// - EINVAL: the VM has no irqchip, or the options need more than this KVM has.
  /// - those of set_vmm_routes.
  static Result<std::unique_ptr<KvmHypervisor>> create(int vm_fd, KvmHypervisorOptions options,
                                                       KvmCalls& calls = KvmCalls::real());

  /// Replaces the VMM's own MSI routes in KVM's table: those of its virtio devices, and with a
  /// split irqchip those of its IOAPIC's pins. Their irqfds are the VMM's. On error all routes are
  /// as before.
  ///
  /// KVM reports an EOI (KVM_EXIT_IOAPIC_EOI) only for the vectors that a level-triggered route
  /// (bit 15 of its data) of a pin names. So the VMM sets the pins' routes again when the guest
  /// changes its IOAPIC.
  ///
  /// Errors:
  /// - EINVAL: a GSI is not below `first_gsi`, or is a pin of KVM's irqchip.
  /// - EINVAL: as for `create_route`.
  /// - ENOSPC: the table has no room for the routes.
  Result<void> set_vmm_routes(MsiRoutes routes) PASSTHRU_EXCLUDES(routes_mutex_);

  Result<void> map(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(slots_mutex_);
  /// Errors:
  /// - ENOMEM: KVM allocates memory to remove a slot.
  Result<void> unmap(const GuestMapping& mapping) override PASSTHRU_EXCLUDES(slots_mutex_);

  Result<MsiMessage> translate(const MsiMessage& message, uint16_t requester_id) override;
  /// Errors:
  /// - EINVAL: the destination id is above 255, and `extended_destinations` is not set.
  Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) override
      PASSTHRU_EXCLUDES(routes_mutex_);
  Result<void> update_route(RouteId route, const MsiMessage& message) override
      PASSTHRU_EXCLUDES(routes_mutex_);
  void destroy_route(RouteId route) override PASSTHRU_EXCLUDES(routes_mutex_);
  /// Changes all routes with one KVM_SET_GSI_ROUTING.
  std::vector<Result<RouteId>> change_routes(std::span<const RouteChange> changes) override
      PASSTHRU_EXCLUDES(routes_mutex_);
  Result<void> arm(RouteId route, int eventfd) override;
  void disarm(RouteId route, int eventfd) override;
  Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) override;

  /// Errors:
  /// - ENOTSUP: `intx_gsi` is not set, or there is no resampling irqfd (KVM_CAP_IRQFD_RESAMPLE).
  Result<void> arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample) override
      PASSTHRU_EXCLUDES(lines_mutex_);
  void disarm_intx(Bdf guest_address, unsigned pin, int eventfd) override
      PASSTHRU_EXCLUDES(lines_mutex_);

  [[nodiscard]] bool msi_by_message() const override { return options_.msi_by_message; }
  /// Determined when the KvmHypervisor is created. False on kernels before 5.11.
  [[nodiscard]] bool takes_signals_at_once() const override { return takes_signals_; }
  [[nodiscard]] bool intx_by_level() const override { return bool{options_.set_line}; }
  void set_intx(Bdf guest_address, unsigned pin, bool level) override
      PASSTHRU_EXCLUDES(lines_mutex_);
  void on_event(const Event& event) override;

  /// Succeeds if the kernel's KVM has no VFIO device: nothing on this architecture needs it then.
  Result<void> file_added(int fd) override PASSTHRU_EXCLUDES(files_mutex_);
  void file_removed(int fd) override PASSTHRU_EXCLUDES(files_mutex_);

 private:
  KvmHypervisor(const KvmFd& vm, KvmHypervisorOptions options, const KvmLimits& limits,
                bool takes_signals);
  /// The state of a route before a change of the table. `route` is empty if the change adds the
  /// route.
  struct Replaced {
    size_t at = 0;  ///< the index of the change
    uint32_t gsi = 0;
    std::optional<MsiRoute> route{};
  };
  Result<RouteId> change_route(const RouteChange& change, size_t at,
                               std::vector<Replaced>& replaced) PASSTHRU_REQUIRES(routes_mutex_);
  Result<void> install_routes() PASSTHRU_REQUIRES(routes_mutex_);
  Result<void> set_irqfd(RouteId route, int eventfd, uint32_t flags);
  [[nodiscard]] Result<void> check_destination(const MsiMessage& message) const;

  const KvmFd vm_;
  const KvmHypervisorOptions options_;
  const bool device_ids_;
  const bool resampling_;
  const bool takes_signals_;

  Mutex slots_mutex_;
  NumberPool slots_ PASSTHRU_GUARDED_BY(slots_mutex_);
  std::map<uint64_t, uint32_t> slot_of_ PASSTHRU_GUARDED_BY(slots_mutex_);  ///< by guest address

  Mutex routes_mutex_;  ///< held while the kernel takes the table, so that tables do not overtake
  RoutingTable routes_ PASSTHRU_GUARDED_BY(routes_mutex_);

  Mutex files_mutex_;
  KvmVfioDevice files_ PASSTHRU_GUARDED_BY(files_mutex_);

  Mutex lines_mutex_;  ///< held while the VMM takes a level, so that levels do not overtake
  IntxLines lines_ PASSTHRU_GUARDED_BY(lines_mutex_);
  /// GSIs by eventfd. A pin may have several irqfds, and the VMM may have rewired it since.
  std::map<int, uint32_t> intx_irqfds_ PASSTHRU_GUARDED_BY(lines_mutex_);
};

}  // namespace passthru
