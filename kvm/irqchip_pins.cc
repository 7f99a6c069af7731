// SPDX-License-Identifier: MIT
#include "kvm/irqchip_pins.h"

#include <linux/kvm.h>

namespace passthru {
namespace {

constexpr uint32_t kPicPins = kIrqchipEntries - kIrqchipPins;
constexpr uint32_t kPicPinsEach = kPicPins / 2;

kvm_irq_routing_entry pin_entry(uint32_t gsi, uint32_t irqchip, uint32_t pin) {
  kvm_irq_routing_entry entry{};
  entry.gsi = gsi;
  entry.type = KVM_IRQ_ROUTING_IRQCHIP;
  entry.u.irqchip.irqchip = irqchip;
  entry.u.irqchip.pin = pin;
  return entry;
}

}  // namespace

void append_irqchip_pins(std::vector<kvm_irq_routing_entry>& entries) {
  for (uint32_t gsi = 0; gsi < kIrqchipPins; ++gsi) {
    if (gsi < kPicPins) {
      const uint32_t chip = gsi < kPicPinsEach ? KVM_IRQCHIP_PIC_MASTER : KVM_IRQCHIP_PIC_SLAVE;
      entries.push_back(pin_entry(gsi, chip, gsi % kPicPinsEach));
    }
    entries.push_back(pin_entry(gsi, KVM_IRQCHIP_IOAPIC, gsi));
  }
}

}  // namespace passthru
