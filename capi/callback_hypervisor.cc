// SPDX-License-Identifier: MIT
// CallbackHypervisor: which callbacks belong together, and the calls of mappings and events.
#include "capi/callback_hypervisor.h"

#include <array>
#include <string>
#include <utility>

#include "capi/call.h"
#include "capi/callback_result.h"

namespace passthru {
namespace {

/// One callback needs another.
struct Pair {
  const char* name;
  bool given;
  const char* needed_name;
  bool needed;
};

}  // namespace

Result<void> check_callbacks(const passthru_callbacks& c) {
  const bool irqfd = c.irqfd_on != nullptr;
  const std::array pairs = {
      Pair{"map", c.map != nullptr, "unmap", c.unmap != nullptr},
      Pair{"unmap", c.unmap != nullptr, "map", c.map != nullptr},
      Pair{"trap", c.trap != nullptr, "untrap", c.untrap != nullptr},
      Pair{"untrap", c.untrap != nullptr, "trap", c.trap != nullptr},
      Pair{"irqfd_on", irqfd, "irqfd_off", c.irqfd_off != nullptr},
      Pair{"irqfd_off", c.irqfd_off != nullptr, "irqfd_on", irqfd},
      Pair{"irqfd_on", irqfd, "route_add", c.route_add != nullptr},
      Pair{"irqfd_on", irqfd, "route_update", c.route_update != nullptr},
      Pair{"irqfd_on", irqfd, "route_del", c.route_del != nullptr},
      Pair{"route_add", c.route_add != nullptr, "irqfd_on", irqfd},
      Pair{"route_update", c.route_update != nullptr, "irqfd_on", irqfd},
      Pair{"route_del", c.route_del != nullptr, "irqfd_on", irqfd},
      Pair{"routes_begin", c.routes_begin != nullptr, "irqfd_on", irqfd},
      Pair{"routes_begin", c.routes_begin != nullptr, "routes_commit", c.routes_commit != nullptr},
      Pair{"routes_commit", c.routes_commit != nullptr, "routes_begin", c.routes_begin != nullptr},
      Pair{"intx_on", c.intx_on != nullptr, "intx_off", c.intx_off != nullptr},
      Pair{"intx_off", c.intx_off != nullptr, "intx_on", c.intx_on != nullptr},
      Pair{"file_removed", c.file_removed != nullptr, "file_added", c.file_added != nullptr},
      Pair{"file_added", c.file_added != nullptr, "file_removed", c.file_removed != nullptr},
  };
  for (const Pair& pair : pairs) {
    if (!pair.given || pair.needed) continue;
    return fail(
        EINVAL, "create a domain",
        std::string("the callback ") + pair.name + " needs the callback " + pair.needed_name);
  }
  return {};
}

Result<std::unique_ptr<CallbackHypervisor>> CallbackHypervisor::create(
    const passthru_callbacks& callbacks, void* vmm, CallbackOptions options) {
  PASSTHRU_TRY(check_callbacks(callbacks));
  return std::unique_ptr<CallbackHypervisor>(
      new CallbackHypervisor(callbacks, vmm, std::move(options)));
}

// What neither KVM nor the VMM does falls to the VMM's side, which then does nothing.
CallbackHypervisor::CallbackHypervisor(const passthru_callbacks& callbacks, void* vmm,
                                       CallbackOptions options)
    : callbacks_(callbacks),
      vmm_(vmm),
      options_(std::move(options)),
      by_vmm_({.mappings = callbacks.map != nullptr || !kvm(),
               .routes = callbacks.irqfd_on != nullptr || callbacks.signal_msi != nullptr || !kvm(),
               .intx = callbacks.intx_on != nullptr || callbacks.intx_level != nullptr || !kvm(),
               .files = callbacks.file_added != nullptr || !kvm()}) {}

Result<void> CallbackHypervisor::map(const GuestMapping& mapping) {
  if (!by_vmm_.mappings) return kvm()->map(mapping);
  if (callbacks_.map == nullptr) return {};  // every access is forwarded
  const InCallback in_callback;
  return callback_result("map",
                         callbacks_.map(vmm_, mapping.address, mapping.size, mapping.memory));
}

Result<void> CallbackHypervisor::unmap(const GuestMapping& mapping) {
  if (!by_vmm_.mappings) return kvm()->unmap(mapping);
  if (callbacks_.unmap == nullptr) return {};
  const InCallback in_callback;
  return callback_result("unmap", callbacks_.unmap(vmm_, mapping.address, mapping.size));
}

Result<void> CallbackHypervisor::trap(GuestSpace space, uint64_t address, uint64_t size) {
  if (callbacks_.trap == nullptr) return {};
  const InCallback in_callback;
  return callback_result("trap", callbacks_.trap(vmm_, space_number(space), address, size));
}

void CallbackHypervisor::untrap(GuestSpace space, uint64_t address, uint64_t size) {
  if (callbacks_.untrap == nullptr) return;
  const InCallback in_callback;
  callbacks_.untrap(vmm_, space_number(space), address, size);
}

Result<void> CallbackHypervisor::place_bar(Bdf guest_address, unsigned bar,
                                           std::optional<uint64_t> address) {
  if (callbacks_.place_bar == nullptr) {
    return Hypervisor::place_bar(guest_address, bar, address);
  }
  const InCallback in_callback;
  return callback_result("place_bar",
                         callbacks_.place_bar(vmm_, guest_address.requester_id(), bar,
                                              address.has_value(), address.value_or(0)));
}

Result<void> CallbackHypervisor::file_added(int fd) {
  if (!by_vmm_.files) return kvm()->file_added(fd);
  if (callbacks_.file_added == nullptr) return {};
  const InCallback in_callback;
  return callback_result("file_added", callbacks_.file_added(vmm_, fd));
}

void CallbackHypervisor::file_removed(int fd) {
  if (!by_vmm_.files) return kvm()->file_removed(fd);
  if (callbacks_.file_removed == nullptr) return;
  const InCallback in_callback;
  callbacks_.file_removed(vmm_, fd);
}

}  // namespace passthru
