// SPDX-License-Identifier: MIT
// Owns the gathering of an Inspection: each room is asked for what it counts.
#include "device/inspection.h"

#include <chrono>
#include <thread>

#include "device/assigned_device_impl.h"
#include "irq/verdict.h"
#include "pci/pci_names.h"

namespace passthru {
namespace {

const char* to_string(EventfdOwner owner) {
  switch (owner) {
    case EventfdOwner::None:
      return "none";
    case EventfdOwner::Latch:
      return "latch";
    case EventfdOwner::Irqfd:
      return "irqfd";
    case EventfdOwner::Forwarder:
      return "forwarder";
  }
  return "none";
}

const char* to_string(InterruptMode mode) {
  switch (mode) {
    case InterruptMode::None:
      return "none";
    case InterruptMode::Intx:
      return "INTx";
    case InterruptMode::Msi:
      return "MSI";
    case InterruptMode::Msix:
      return "MSI-X";
  }
  return "none";
}

/// What the guest and the device say that is the same for all vectors.
struct Registers {
  bool enabled = false;
  bool function_masked = false;
  std::optional<uint16_t> in_device{};
};

VectorInspection inspect_vector(const VectorState& state, const Registers& registers) {
  const auto [verdict, why] =
      judge({.enabled = registers.enabled,
             .function_masked = registers.function_masked,
             .masked = state.masked,
             .bound = state.bound,
             .armed = state.owner == EventfdOwner::Irqfd || state.owner == EventfdOwner::Forwarder,
             .unread = state.unread,
             .unroutable = state.unroutable,
             .last_error = state.last_error,
             .last_sound = state.last_sound,
             .in_device = state.in_device,
             .control = registers.in_device});
  return {.index = state.vector,
          .verdict = to_string(verdict),
          .why = why,
          .damaged = is_damage(verdict),
          .masked = state.masked,
          .pending = state.pending,
          .bound = state.bound,
          .owner = to_string(state.owner),
          .guest_message = state.message,
          .last_sound = state.last_sound,
          .in_device = state.in_device,
          .device_pending = state.device_pending,
          .unroutable = state.unroutable,
          .delivered = state.delivered,
          .restores = state.restores,
          .rearms = state.rearms,
          .rebinds = state.rebinds,
          .latched = state.latched,
          .forwarded = state.forwarded,
          .masked_ns = static_cast<uint64_t>(state.masked_for.count()),
          .last_error = state.last_error};
}

DmaInspection inspect_dma(const DmaSpace& dma, Backend backend) {
  DmaInspection inspection{.backend = to_string(backend)};
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
                                .mapped = state.span.mapped(),
                                .why = to_string(state.span.kind),
                                .trapped_reads = state.trapped_reads,
                                .trapped_writes = state.trapped_writes});
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
    // Whoever takes such signals has done so by then.
    std::this_thread::sleep_for(Delivery::kUnreadFor + std::chrono::milliseconds(1));
    inspection = look();
  }
  static const PciNames names;  // to read the list takes some ten milliseconds
  inspection.name = names.device(inspection.vendor, inspection.device_id);
  return inspection;
}

Inspection AssignedDevice::Impl::inspect_locked(const InterruptCounts& counted) {
  Inspection inspection{.device = options_.device, .guest_address = options_.guest_address};
  const uint32_t ids = config_->read(0, 4);
  inspection.vendor = static_cast<uint16_t>(ids);
  inspection.device_id = static_cast<uint16_t>(ids >> 16);
  inspection.interrupt_mode = to_string(interrupts_->mode());
  inspection.dma = inspect_dma(domain_.dma(), device_->backend());
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (config_->bars()[bar].size != 0) inspection.bars.push_back(inspect_bar(bar));
  }
  const InterruptMode mode = interrupts_->mode();
  Registers registers{.enabled = mode == InterruptMode::Msi || mode == InterruptMode::Msix};
  if (Msix* const msix = interrupts_->msix(); msix != nullptr) {
    const uint16_t control = msix->control();
    const bool enabled = (control & kMsixEnable) != 0;
    const auto in_device = msix->control_in_device();
    inspection.msix_control = {.enabled = enabled,
                               .function_masked = (control & kMsixFunctionMask) != 0};
    if (in_device) {
      inspection.msix_control->enabled_in_device = (*in_device & kMsixEnable) != 0;
      inspection.msix_control->function_masked_in_device = (*in_device & kMsixFunctionMask) != 0;
    }
    if (enabled) {
      registers.function_masked = inspection.msix_control->function_masked;
      registers.in_device = in_device;
    }
  }
  for (const VectorState& state : interrupts_->inspect(counted)) {
    inspection.vectors.push_back(inspect_vector(state, registers));
    inspection.undecided |= state.signalled && !state.unread;
  }
  inspection.set_irqs_calls = interrupts_->set_irqs_calls();
  inspection.delivered = {.intx = interrupts_->delivered(InterruptMode::Intx, counted),
                          .msi = interrupts_->delivered(InterruptMode::Msi, counted),
                          .msix = interrupts_->delivered(InterruptMode::Msix, counted)};
  inspection.restores = interrupts_->restores();
  inspection.rearms = interrupts_->rearms();
  inspection.damages = interrupts_->damages();
  inspection.refused_messages = interrupts_->refused_messages();
  inspection.resets = resets_;
  inspection.audits = audits_;
  inspection.device_errors = device_errors_;
  inspection.failed_accesses = config_->failed_accesses() + bars_->failed_accesses();
  return inspection;
}

}  // namespace passthru
