// SPDX-License-Identifier: MIT
// Hypervisor by the callbacks of a VMM. On KVM, a KvmHypervisor does what the VMM leaves out.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/mutex.h"
#include "base/result.h"
#include "device/hypervisor.h"
#include "kvm/kvm_hypervisor.h"
#include "passthru/passthru.h"

namespace passthru {

/// The options of CallbackHypervisor besides the callbacks.
struct CallbackOptions {
  bool takes_signals_at_once = false;    ///< of the VMM's irqfds
  std::unique_ptr<KvmHypervisor> kvm{};  ///< null: not on KVM
};

/// Thread-safe, as far as the callbacks are. During each callback the thread counts as being in a
/// callback (InCallback).
class CallbackHypervisor final : public Hypervisor {
 public:
  /// `vmm` is passed to every callback.
  ///
  /// Errors:
  /// - EINVAL: a callback of a group is missing.
  static Result<std::unique_ptr<CallbackHypervisor>> create(const passthru_callbacks& callbacks,
                                                            void* vmm, CallbackOptions options);

  Result<void> map(const GuestMapping& mapping) override;
  Result<void> unmap(const GuestMapping& mapping) override;
  Result<void> trap(GuestSpace space, uint64_t address, uint64_t size) override;
  void untrap(GuestSpace space, uint64_t address, uint64_t size) override;
  Result<void> place_bar(Bdf guest_address, unsigned bar, std::optional<uint64_t> address) override;

  Result<MsiMessage> translate(const MsiMessage& message, uint16_t requester_id) override;
  Result<RouteId> create_route(const MsiMessage& message, uint16_t requester_id) override
      PASSTHRU_EXCLUDES(batch_mutex_);
  Result<void> update_route(RouteId route, const MsiMessage& message) override
      PASSTHRU_EXCLUDES(batch_mutex_);
  void destroy_route(RouteId route) override PASSTHRU_EXCLUDES(batch_mutex_);
  std::vector<Result<RouteId>> change_routes(std::span<const RouteChange> changes) override
      PASSTHRU_EXCLUDES(batch_mutex_);
  Result<void> arm(RouteId route, int eventfd) override;
  void disarm(RouteId route, int eventfd) override;
  [[nodiscard]] bool takes_signals_at_once() const override;
  [[nodiscard]] bool msi_by_message() const override;
  Result<void> signal_msi(const MsiMessage& message, uint16_t requester_id) override;

  [[nodiscard]] bool intx_by_level() const override;
  Result<void> arm_intx(Bdf guest_address, unsigned pin, int eventfd, int resample) override;
  void disarm_intx(Bdf guest_address, unsigned pin, int eventfd) override;
  void set_intx(Bdf guest_address, unsigned pin, bool level) override;

  Result<void> file_added(int fd) override;
  void file_removed(int fd) override;
  void on_event(const Event& event) override;

  /// Returns whether the VMM itself places BARs of devices that ask for it.
  [[nodiscard]] bool places_bars() const { return callbacks_.place_bar != nullptr; }
  /// Returns KVM's side if KVM's routing table belongs to it, otherwise null.
  [[nodiscard]] KvmHypervisor* routes_on_kvm() const { return by_vmm_.routes ? nullptr : kvm(); }

 private:
  /// The groups of callbacks that the VMM implements.
  struct Groups {
    bool mappings = false;
    bool routes = false;
    bool intx = false;
    bool files = false;
  };

  CallbackHypervisor(const passthru_callbacks& callbacks, void* vmm, CallbackOptions options);
  [[nodiscard]] KvmHypervisor* kvm() const { return options_.kvm.get(); }
  Result<RouteId> route_add(const MsiMessage& message, uint16_t requester_id)
      PASSTHRU_REQUIRES(batch_mutex_);
  Result<void> route_update(RouteId route, const MsiMessage& message)
      PASSTHRU_REQUIRES(batch_mutex_);

  const passthru_callbacks callbacks_;
  void* const vmm_;
  const CallbackOptions options_;
  const Groups by_vmm_;
  Mutex batch_mutex_;  ///< held from routes_begin to routes_commit, and in each change of a route
};

/// Returns whether the callbacks that belong together are all there.
///
/// Errors:
/// - EINVAL: a callback is missing; the error names it.
Result<void> check_callbacks(const passthru_callbacks& callbacks);

}  // namespace passthru
