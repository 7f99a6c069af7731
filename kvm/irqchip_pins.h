// SPDX-License-Identifier: MIT
// The routes of the pins of KVM's own irqchips: a table of KvmHypervisor's replaces them too, so it
// has them.
#pragma once

#include <cstdint>
#include <vector>

struct kvm_irq_routing_entry;

namespace passthru {

/// GSIs below it are pins.
inline constexpr uint32_t kIrqchipPins = 24;
/// GSI 0 to 15 lead to a PIC and to the IOAPIC, those up to 23 to the IOAPIC only.
inline constexpr uint32_t kIrqchipEntries = 16 + kIrqchipPins;

/// As KVM itself sets them when it makes its irqchips.
void append_irqchip_pins(std::vector<kvm_irq_routing_entry>& entries);

}  // namespace passthru
