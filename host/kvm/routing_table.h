// SPDX-License-Identifier: MIT
// Owns what KVM's one table of interrupt routes holds: the irqchips' pins and the MSI routes by
// GSI. A pure value, not thread-safe; KvmHost guards it and hands it to the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "host/kvm/number_pool.h"
#include "irq/msi_message.h"
#include "vfio/result.h"

namespace passthru {

/// Where an MSI route leads.
struct MsiRoute {
  MsiMessage message{};
  uint16_t requester_id = 0;
  auto operator<=>(const MsiRoute&) const = default;
};

class RoutingTable {
 public:
  /// `limit` is KVM_CAP_IRQ_ROUTING: GSIs are below it, and the table has at most so many entries,
  /// of which `pin_entries` are taken by the irqchips' pins. MSI routes get GSIs from `first_gsi`.
  RoutingTable(uint32_t first_gsi, uint32_t limit, uint32_t pin_entries);

  /// The GSI of a new route. ENOSPC when the table is full.
  Result<uint32_t> add(const MsiRoute& route);
  void remove(uint32_t gsi);
  /// ENOENT where there is no such route.
  Result<MsiRoute> find(uint32_t gsi) const;
  /// `gsi` was added before.
  void replace(uint32_t gsi, const MsiRoute& route) { routes_[gsi] = route; }

  [[nodiscard]] const std::map<uint32_t, MsiRoute>& routes() const { return routes_; }

 private:
  uint32_t capacity_;  ///< of MSI routes
  NumberPool gsis_;
  std::map<uint32_t, MsiRoute> routes_;  ///< by GSI
};

}  // namespace passthru
