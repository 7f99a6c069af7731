// SPDX-License-Identifier: MIT
// The contents of KVM's one table of interrupt routes: the pins of KVM's irqchips, the VMM's own
// routes, and the MSI routes of assigned devices. A pure value, not thread-safe; KvmHypervisor
// guards it and hands it to the kernel.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>

#include "base/result.h"
#include "irq/msi_message.h"
#include "kvm/number_pool.h"

namespace passthru {

/// Where an MSI route leads.
struct MsiRoute {
  MsiMessage message{};
  uint16_t requester_id = 0;
  auto operator<=>(const MsiRoute&) const = default;
};

/// By GSI.
using MsiRoutes = std::map<uint32_t, MsiRoute>;

class RoutingTable {
 public:
  /// `limit` is KVM_CAP_IRQ_ROUTING: GSIs are below it, and the table has at most `limit` entries.
  /// GSIs below `pins` belong to KVM's irqchips, which use `pin_entries` entries. GSIs from
  /// `first_gsi` on are for the routes that are added.
  struct Layout {
    uint32_t first_gsi = 0;
    uint32_t limit = 0;
    uint32_t pins = 0;
    uint32_t pin_entries = 0;
  };
  explicit RoutingTable(const Layout& layout);

  /// Adds a route and returns its GSI. ENOSPC: the table is full.
  Result<uint32_t> add(const MsiRoute& route);
  void remove(uint32_t gsi);
  /// Returns the route of a GSI. ENOENT: no route has this GSI.
  Result<MsiRoute> find(uint32_t gsi) const;
  /// Replaces a route. `gsi` was added before.
  void replace(uint32_t gsi, const MsiRoute& route) { routes_[gsi] = route; }
  /// Replaces all of the VMM's own routes. On error they are as before.
  ///
  /// Errors:
  /// - EINVAL: a GSI is not the VMM's to route.
  /// - ENOSPC: the table has no room for the routes.
  Result<void> set_vmm_routes(MsiRoutes routes);

  [[nodiscard]] const MsiRoutes& routes() const { return routes_; }
  [[nodiscard]] const MsiRoutes& vmm_routes() const { return vmm_routes_; }

 private:
  [[nodiscard]] size_t capacity() const;

  Layout layout_;
  NumberPool gsis_;
  MsiRoutes routes_;
  MsiRoutes vmm_routes_;
};

}  // namespace passthru
