// SPDX-License-Identifier: MIT
// RoutingTable: the allocation of GSIs and entries.
#include "kvm/routing_table.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace passthru {
namespace {

uint32_t without(uint32_t limit, uint32_t taken) {
  return limit > taken ? limit - taken : 0;
}

}  // namespace

RoutingTable::RoutingTable(const Layout& layout)
    : layout_(layout), gsis_(layout.first_gsi, without(layout.limit, layout.first_gsi)) {}

// Returns how many routes can be added in all. Each needs a GSI and an entry.
size_t RoutingTable::capacity() const {
  const uint32_t gsis = without(layout_.limit, layout_.first_gsi);
  const auto taken = layout_.pin_entries + static_cast<uint32_t>(vmm_routes_.size());
  return std::min(gsis, without(layout_.limit, taken));
}

Result<uint32_t> RoutingTable::add(const MsiRoute& route) {
  const auto gsi = routes_.size() < capacity() ? gsis_.take() : std::nullopt;
  if (!gsi) {
    return tl::unexpected(
        Error{.code = ENOSPC, .operation = "create a KVM interrupt route"}
            .because(fmt::format("all {} KVM routes for MSI are in use", capacity()))
            .advise(
                "Assign fewer devices with many vectors, or configure fewer queues in the guest"));
  }
  routes_.emplace(*gsi, route);
  return *gsi;
}

void RoutingTable::remove(uint32_t gsi) {
  if (routes_.erase(gsi) != 0) gsis_.give_back(gsi);
}

Result<MsiRoute> RoutingTable::find(uint32_t gsi) const {
  const auto found = routes_.find(gsi);
  if (found == routes_.end()) {
    return fail(ENOENT, "change a KVM interrupt route", fmt::format("no route has GSI {}", gsi));
  }
  return found->second;
}

Result<void> RoutingTable::set_vmm_routes(MsiRoutes routes) {
  constexpr const char* kOperation = "set the VMM's own KVM interrupt routes";
  for (const auto& [gsi, route] : routes) {
    if (gsi >= layout_.first_gsi) {
      return fail(EINVAL, kOperation,
                  fmt::format("GSI {} is not below {}, the first GSI of the assigned devices", gsi,
                              layout_.first_gsi));
    }
    if (gsi < layout_.pins) {
      return fail(EINVAL, kOperation, fmt::format("GSI {} is a pin of KVM's own irqchip", gsi));
    }
  }
  if (routes.size() + routes_.size() + layout_.pin_entries > layout_.limit) {
    return fail(ENOSPC, kOperation,
                fmt::format("KVM has {} routes, and {} are in use", layout_.limit,
                            routes_.size() + layout_.pin_entries));
  }
  vmm_routes_ = std::move(routes);
  return {};
}

}  // namespace passthru
