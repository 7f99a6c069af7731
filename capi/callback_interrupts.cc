// SPDX-License-Identifier: MIT
// CallbackHypervisor: the calls of routes, messages and INTx.
#include <utility>

#include "capi/call.h"
#include "capi/callback_hypervisor.h"
#include "capi/callback_result.h"

namespace passthru {
namespace {

passthru_message to_c(const MsiMessage& message) {
  return {.address = message.address, .data = message.data, .reserved = 0};
}

}  // namespace

Result<MsiMessage> CallbackHypervisor::translate(const MsiMessage& message, uint16_t requester_id) {
  if (callbacks_.translate == nullptr) {
    return kvm() != nullptr ? kvm()->translate(message, requester_id)
                            : Hypervisor::translate(message, requester_id);
  }
  passthru_message translated = to_c(message);
  const InCallback in_callback;
  PASSTHRU_TRY(callback_result("translate", callbacks_.translate(vmm_, requester_id, &translated)));
  return MsiMessage{.address = translated.address, .data = translated.data};
}

Result<RouteId> CallbackHypervisor::route_add(const MsiMessage& message, uint16_t requester_id) {
  if (callbacks_.route_add == nullptr) return fail(ENOTSUP, "create a route");
  const passthru_message to_send = to_c(message);
  uint32_t route = 0;
  const InCallback in_callback;
  PASSTHRU_TRY(
      callback_result("route_add", callbacks_.route_add(vmm_, requester_id, &to_send, &route)));
  return route;
}

Result<void> CallbackHypervisor::route_update(RouteId route, const MsiMessage& message) {
  if (callbacks_.route_update == nullptr) return fail(ENOTSUP, "change a route");
  const passthru_message to_send = to_c(message);
  const InCallback in_callback;
  return callback_result("route_update", callbacks_.route_update(vmm_, route, &to_send));
}

Result<RouteId> CallbackHypervisor::create_route(const MsiMessage& message, uint16_t requester_id) {
  if (!by_vmm_.routes) return kvm()->create_route(message, requester_id);
  MutexLock lock(batch_mutex_);
  return route_add(message, requester_id);
}

Result<void> CallbackHypervisor::update_route(RouteId route, const MsiMessage& message) {
  if (!by_vmm_.routes) return kvm()->update_route(route, message);
  MutexLock lock(batch_mutex_);
  return route_update(route, message);
}

void CallbackHypervisor::destroy_route(RouteId route) {
  if (!by_vmm_.routes) return kvm()->destroy_route(route);
  if (callbacks_.route_del == nullptr) return;
  MutexLock lock(batch_mutex_);
  const InCallback in_callback;
  callbacks_.route_del(vmm_, route);
}

std::vector<Result<RouteId>> CallbackHypervisor::change_routes(
    std::span<const RouteChange> changes) {
  if (!by_vmm_.routes) return kvm()->change_routes(changes);
  if (callbacks_.routes_begin == nullptr) return Hypervisor::change_routes(changes);
  std::vector<Result<RouteId>> results;
  results.reserve(changes.size());
  MutexLock lock(batch_mutex_);
  {
    const InCallback in_callback;
    callbacks_.routes_begin(vmm_);
  }
  for (const RouteChange& change : changes) {
    if (!change.route) {
      results.push_back(route_add(change.message, change.requester_id));
    } else if (auto updated = route_update(*change.route, change.message); updated) {
      results.emplace_back(*change.route);
    } else {
      results.emplace_back(tl::unexpected(std::move(updated).error()));
    }
  }
  const InCallback in_callback;
  const auto committed = callback_result("routes_commit", callbacks_.routes_commit(vmm_));
  if (committed) return results;
  // The VMM has taken back every change of the batch.
  for (Result<RouteId>& result : results) result = tl::unexpected(committed.error());
  return results;
}

Result<void> CallbackHypervisor::arm(RouteId route, int eventfd) {
  if (!by_vmm_.routes) return kvm()->arm(route, eventfd);
  if (callbacks_.irqfd_on == nullptr) return fail(ENOTSUP, "turn an irqfd on");
  const InCallback in_callback;
  return callback_result("irqfd_on", callbacks_.irqfd_on(vmm_, route, eventfd));
}

void CallbackHypervisor::disarm(RouteId route, int eventfd) {
  if (!by_vmm_.routes) return kvm()->disarm(route, eventfd);
  if (callbacks_.irqfd_off == nullptr) return;
  const InCallback in_callback;
  callbacks_.irqfd_off(vmm_, route, eventfd);
}

bool CallbackHypervisor::takes_signals_at_once() const {
  return by_vmm_.routes ? options_.takes_signals_at_once : kvm()->takes_signals_at_once();
}

bool CallbackHypervisor::msi_by_message() const {
  return by_vmm_.routes ? callbacks_.irqfd_on == nullptr : kvm()->msi_by_message();
}

Result<void> CallbackHypervisor::signal_msi(const MsiMessage& message, uint16_t requester_id) {
  if (!by_vmm_.routes) return kvm()->signal_msi(message, requester_id);
  if (callbacks_.signal_msi == nullptr) {
    return fail(ENOTSUP, "signal an interrupt", "the VMM has no callback signal_msi");
  }
  const passthru_message to_send = to_c(message);
  const InCallback in_callback;
  return callback_result("signal_msi", callbacks_.signal_msi(vmm_, requester_id, &to_send));
}

bool CallbackHypervisor::intx_by_level() const {
  return by_vmm_.intx ? callbacks_.intx_on == nullptr : kvm()->intx_by_level();
}

Result<void> CallbackHypervisor::arm_intx(Bdf guest_address, unsigned pin, int eventfd,
                                          int resample) {
  if (!by_vmm_.intx) return kvm()->arm_intx(guest_address, pin, eventfd, resample);
  if (callbacks_.intx_on == nullptr) {
    return Hypervisor::arm_intx(guest_address, pin, eventfd, resample);
  }
  const InCallback in_callback;
  return callback_result(
      "intx_on", callbacks_.intx_on(vmm_, guest_address.requester_id(), pin, eventfd, resample));
}

void CallbackHypervisor::disarm_intx(Bdf guest_address, unsigned pin, int eventfd) {
  if (!by_vmm_.intx) return kvm()->disarm_intx(guest_address, pin, eventfd);
  if (callbacks_.intx_off == nullptr) return;
  const InCallback in_callback;
  callbacks_.intx_off(vmm_, guest_address.requester_id(), pin, eventfd);
}

void CallbackHypervisor::set_intx(Bdf guest_address, unsigned pin, bool level) {
  if (!by_vmm_.intx) return kvm()->set_intx(guest_address, pin, level);
  if (callbacks_.intx_level == nullptr) return;
  const InCallback in_callback;
  callbacks_.intx_level(vmm_, guest_address.requester_id(), pin, level);
}

void CallbackHypervisor::on_event(const Event& event) {
  if (callbacks_.event == nullptr) return;
  const std::string device = event.device.str();
  const passthru_event to_report = {.size = sizeof(passthru_event),
                                    .kind = event_number(event.kind),
                                    .guest_address = event.guest_address.requester_id(),
                                    .reserved = 0,
                                    .device = device.c_str(),
                                    .text = event.detail.c_str()};
  const InCallback in_callback;
  callbacks_.event(vmm_, &to_report);
}

}  // namespace passthru
