// SPDX-License-Identifier: MIT
#include "device/inspection.h"

#include <chrono>
#include <thread>
#include <utility>

#include "device/assigned_device_impl.h"
#include "irq/verdict.h"
#include "pci/pci_names.h"

namespace passthru {
namespace {

DmaInspection inspect_dma(const DmaSpace& dma, Backend backend) {
  DmaInspection inspection{.backend = backend};
  for (const DmaMaps& each : dma.maps()) {
    if (each.backend != backend) continue;
    inspection.maps = each.maps;
    inspection.bytes = each.bytes;
  }
  return inspection;
}

}  // namespace

BarInspection AssignedDevice::Impl::inspect_bar(unsigned bar) const {
  const BarInfo& shape = config_->bars()[bar];
  const auto place = bars_->placement()[bar];
  BarInspection inspection{.index = bar,
                           .size = shape.size,
                           .io = shape.io,
                           .is_64bit = shape.is_64bit,
                           .prefetchable = shape.prefetchable,
                           .decoded = place.has_value(),
                           .guest_address = place.value_or(0)};
  for (const BarSpanState& state : bars_->spans(bar)) {
    inspection.spans.push_back({.offset = state.span.offset,
                                .size = state.span.size,
                                .kind = state.span.kind,
                                .trapped_reads = state.trapped_reads,
                                .trapped_writes = state.trapped_writes,
                                .error = state.error});
  }
  return inspection;
}

Inspection AssignedDevice::Impl::inspect() {
  const InterruptCounts counted = InterruptCounts::read(options_.device);
  const auto look = [&] {
    MutexLock lock(device_mutex_);
    return last_ ? *last_ : inspect_locked(counted);
  };
  Inspection inspection = look();
  if (inspection.undecided) {
    // A VMM that takes such signals has taken them by then.
    std::this_thread::sleep_for(Delivery::kUnreadFor + std::chrono::milliseconds(1));
    inspection = look();
  }
  static const PciNames names;  // reading the list takes some ten milliseconds
  inspection.name = names.device(inspection.vendor, inspection.device_id);
  return inspection;
}

Inspection AssignedDevice::Impl::inspect_locked(const InterruptCounts& counted) {
  Inspection inspection{interrupts_->counters()};
  inspection.device = options_.device;
  inspection.guest_address = options_.guest_address;
  const uint32_t ids = config_->read(0, 4);
  inspection.vendor = static_cast<uint16_t>(ids);
  inspection.device_id = static_cast<uint16_t>(ids >> 16);
  inspection.dma = inspect_dma(domain_.dma(), device_->backend());
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (config_->bars()[bar].size != 0) inspection.bars.push_back(inspect_bar(bar));
  }
  const InterruptMode mode = interrupts_->mode();
  inspection.interrupt_mode = mode;
  FunctionState function{.enabled = mode == InterruptMode::Msi || mode == InterruptMode::Msix,
                         .unseen = mode == InterruptMode::Msi
                                       ? "it uses MSI, which has no table"
                                       : "the VMM cannot map the device's MSI-X table"};
  if (Msix* const msix = interrupts_->msix(); msix != nullptr) {
    const uint16_t control = msix->control();
    const bool enabled = (control & PCI_MSIX_FLAGS_ENABLE) != 0;
    const auto in_device = msix->control_in_device();
    inspection.msix_control = {.enabled = enabled,
                               .function_masked = (control & PCI_MSIX_FLAGS_MASKALL) != 0};
    if (in_device) {
      inspection.msix_control->enabled_in_device = (*in_device & PCI_MSIX_FLAGS_ENABLE) != 0;
      inspection.msix_control->function_masked_in_device =
          (*in_device & PCI_MSIX_FLAGS_MASKALL) != 0;
    }
    if (enabled) {
      function.function_masked = inspection.msix_control->function_masked;
      function.control = in_device;
    }
  }
  for (VectorState& state : interrupts_->inspect(counted)) {
    inspection.undecided |= state.signalled && !state.unread;
    inspection.vectors.push_back(judge(function, std::move(state)));
  }
  inspection.delivered = {.intx = interrupts_->delivered(InterruptMode::Intx, counted),
                          .msi = interrupts_->delivered(InterruptMode::Msi, counted),
                          .msix = interrupts_->delivered(InterruptMode::Msix, counted)};
  inspection.resets = resets_;
  inspection.audits = audits_;
  inspection.device_errors = device_errors_;
  inspection.failed_accesses = config_->failed_accesses() + bars_->failed_accesses();
  return inspection;
}

}  // namespace passthru
