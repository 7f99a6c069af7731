// SPDX-License-Identifier: MIT
// KvmHypervisor: the table of MSI routes, irqfds and messages.
#include <fcntl.h>
#include <linux/kvm.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "irq/remap.h"
#include "kvm/irqchip_pins.h"
#include "kvm/kvm_hypervisor.h"
#include "kvm/kvm_table.h"

namespace passthru {
namespace {

kvm_irq_routing_entry msi_entry(uint32_t gsi, const MsiRoute& route, bool device_ids) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_MSI;
  entry.u.msi.address_lo = static_cast<uint32_t>(route.message.address);
  entry.u.msi.address_hi = static_cast<uint32_t>(route.message.address >> 32);
  entry.u.msi.data = route.message.data;
  if (device_ids) {
    entry.flags = KVM_MSI_VALID_DEVID;
    entry.u.msi.devid = route.requester_id;
  }
  return entry;
}

}  // namespace

Result<void> KvmHypervisor::install_routes() {
  std::vector<kvm_irq_routing_entry> entries;
  entries.reserve(kIrqchipEntries + routes_.vmm_routes().size() + routes_.routes().size());
  if (options_.irqchip_pins) append_irqchip_pins(entries);
  for (const MsiRoutes* routes : {&routes_.vmm_routes(), &routes_.routes()}) {
    for (const auto& [gsi, route] : *routes) entries.push_back(msi_entry(gsi, route, device_ids_));
  }
  KvmTable<kvm_irq_routing_entry> table(entries);
  PASSTHRU_TRY(
      vm_.call(kvm_table_request(KVM_SET_GSI_ROUTING), "KVM_SET_GSI_ROUTING", table.argument()));
  return {};
}

Result<MsiMessage> KvmHypervisor::translate(const MsiMessage& message, uint16_t requester_id) {
  if (options_.translate) return options_.translate(message, requester_id);
  return options_.extended_destinations ? translate_extended(message) : translate_plain(message);
}

// KVM would ignore the upper bits, and interrupt another CPU.
Result<void> KvmHypervisor::check_destination(const MsiMessage& message) const {
  if (message.address >> 32 == 0 || options_.extended_destinations) return {};
  return fail(EINVAL, "route an interrupt",
              "its destination id is above 255, and the VMM has not set "
              "KvmHypervisorOptions::extended_destinations");
}

Result<RouteId> KvmHypervisor::change_route(const RouteChange& change, size_t at,
                                            std::vector<Replaced>& replaced) {
  PASSTHRU_TRY(check_destination(change.message));
  if (!change.route) {
    const uint32_t gsi = PASSTHRU_TRY(routes_.add({change.message, change.requester_id}));
    replaced.push_back({.at = at, .gsi = gsi});
    return gsi;
  }
  const MsiRoute before = PASSTHRU_TRY(routes_.find(*change.route));
  if (before.message == change.message) return *change.route;
  routes_.replace(*change.route, {change.message, before.requester_id});
  replaced.push_back({.at = at, .gsi = *change.route, .route = before});
  return *change.route;
}

std::vector<Result<RouteId>> KvmHypervisor::change_routes(std::span<const RouteChange> changes) {
  MutexLock lock(routes_mutex_);
  std::vector<Result<RouteId>> answers;
  std::vector<Replaced> replaced;
  for (size_t at = 0; at < changes.size(); ++at) {
    answers.push_back(change_route(changes[at], at, replaced));
  }
  // Every change of the table costs a grace period of the kernel: skip it if no route changed.
  if (replaced.empty()) return answers;
  const auto installed = install_routes();
  if (installed) return answers;
  // In reverse order: a route may have changed twice.
  for (auto change = replaced.rbegin(); change != replaced.rend(); ++change) {
    if (change->route) {
      routes_.replace(change->gsi, *change->route);
    } else {
      routes_.remove(change->gsi);
    }
    answers[change->at] = tl::unexpected(installed.error());
  }
  return answers;
}

Result<RouteId> KvmHypervisor::create_route(const MsiMessage& message, uint16_t requester_id) {
  const RouteChange change{.message = message, .requester_id = requester_id};
  return change_routes({&change, 1}).front();
}

Result<void> KvmHypervisor::update_route(RouteId route, const MsiMessage& message) {
  const RouteChange change{.route = route, .message = message};
  PASSTHRU_TRY(change_routes({&change, 1}).front());
  return {};
}

void KvmHypervisor::destroy_route(RouteId route) {
  MutexLock lock(routes_mutex_);
  // The kernel keeps its copy until the next change. Nothing signals it: the route is disarmed.
  routes_.remove(route);
}

Result<void> KvmHypervisor::set_vmm_routes(MsiRoutes routes) {
  for (const auto& [gsi, route] : routes) PASSTHRU_TRY(check_destination(route.message));
  MutexLock lock(routes_mutex_);
  MsiRoutes before = routes_.vmm_routes();
  PASSTHRU_TRY(routes_.set_vmm_routes(std::move(routes)));
  auto installed = install_routes();
  if (!installed) {
    ignore(routes_.set_vmm_routes(std::move(before)), "the table held these routes before");
  }
  return installed;
}

Result<void> KvmHypervisor::set_irqfd(RouteId route, int eventfd, uint32_t flags) {
  kvm_irqfd irqfd{};
  irqfd.fd = static_cast<uint32_t>(eventfd);
  irqfd.gsi = route;
  irqfd.flags = flags;
  PASSTHRU_TRY(vm_.call(KVM_IRQFD, "KVM_IRQFD", &irqfd));
  return {};
}

Result<void> KvmHypervisor::arm(RouteId route, int eventfd) {
  PASSTHRU_TRY(set_irqfd(route, eventfd, 0));
  // If the counter was not 0, KVM has delivered it and left it unchanged. KVM takes later signals
  // when they are raised. So clear the rest of the counter.
  if ((::fcntl(eventfd, F_GETFL) & O_NONBLOCK) == 0) return {};  // a read could block forever
  uint64_t delivered = 0;
  static_cast<void>(::read(eventfd, &delivered, sizeof(delivered)) == sizeof(delivered));
  return {};
}

void KvmHypervisor::disarm(RouteId route, int eventfd) {
  ignore(set_irqfd(route, eventfd, KVM_IRQFD_FLAG_DEASSIGN),
         "fails only if the irqfd does not exist; then KVM delivers nothing");
}

Result<void> KvmHypervisor::signal_msi(const MsiMessage& message, uint16_t requester_id) {
  PASSTHRU_TRY(check_destination(message));
  kvm_msi msi{};
  msi.address_lo = static_cast<uint32_t>(message.address);
  msi.address_hi = static_cast<uint32_t>(message.address >> 32);
  msi.data = message.data;
  if (device_ids_) {
    msi.flags = KVM_MSI_VALID_DEVID;
    msi.devid = requester_id;
  }
  // KVM returns 0 if the guest blocks the interrupt; hardware would also lose it.
  PASSTHRU_TRY(vm_.call(KVM_SIGNAL_MSI, "KVM_SIGNAL_MSI", &msi));
  return {};
}

}  // namespace passthru
