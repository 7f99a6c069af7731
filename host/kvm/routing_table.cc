// SPDX-License-Identifier: MIT
// Owns the allocation of GSIs to MSI routes.
#include "host/kvm/routing_table.h"

#include <fmt/format.h>

#include <algorithm>

namespace passthru {
namespace {

uint32_t without(uint32_t limit, uint32_t taken) {
  return limit > taken ? limit - taken : 0;
}

}  // namespace

RoutingTable::RoutingTable(uint32_t first_gsi, uint32_t limit, uint32_t pin_entries)
    : capacity_(std::min(without(limit, first_gsi), without(limit, pin_entries))),
      gsis_(first_gsi, capacity_) {}

Result<uint32_t> RoutingTable::add(const MsiRoute& route) {
  const auto gsi = gsis_.take();
  if (!gsi) {
    return tl::unexpected(
        Error{.code = ENOSPC, .operation = "create a KVM interrupt route"}
            .because(fmt::format("all {} routes that KVM has for MSI are in use", capacity_))
            .advise("Give this VM fewer devices with many vectors, or its drivers fewer queues"));
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

}  // namespace passthru
