// SPDX-License-Identifier: MIT
// The routes of the pins of KVM's own irqchips. KvmHypervisor replaces KVM's whole table of routes,
// so its table contains them too.
#pragma once

#include <cstdint>
#include <vector>

struct kvm_irq_routing_entry;

namespace passthru {

/// GSIs below this number are pins.
inline constexpr uint32_t kIrqchipPins = 24;
/// GSI 0 to 15 lead to a PIC and to the IOAPIC, GSI 16 to 23 only to the IOAPIC.
inline constexpr uint32_t kIrqchipEntries = 16 + kIrqchipPins;

/// Appends the routes that KVM itself sets when it creates its irqchips.
void append_irqchip_pins(std::vector<kvm_irq_routing_entry>& entries);

}  // namespace passthru
