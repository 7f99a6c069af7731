// SPDX-License-Identifier: MIT
// Owns the gathering of an Inspection: each room is asked for what it counts.
#include "host/inspection.h"

#include "host/assigned_device_impl.h"
#include "vfio/pci_names.h"

namespace passthru {
namespace {

const char* owner_name(EventfdOwner owner) {
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

const char* mode_name(InterruptMode mode) {
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

VectorInspection inspect_vector(const VectorState& state) {
  return {.index = state.vector,
          .masked = state.masked,
          .pending = state.pending,
          .bound = state.bound,
          .owner = owner_name(state.owner),
          .guest_message = state.message,
          .unroutable = state.unroutable,
          .delivered = state.interrupts,
          .restores = state.restores,
          .rebinds = state.rebinds,
          .latched = state.latched,
          .forwarded = state.forwarded,
          .masked_ns = static_cast<uint64_t>(state.masked_for.count()),
          .last_error = state.last_error};
}

}  // namespace

BarInspection AssignedDevice::Impl::inspect_bar(unsigned bar) const {
  const BarShape& shape = config_->bars()[bar];
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
                                .why = why(state.span.kind),
                                .trapped_reads = state.trapped_reads,
                                .trapped_writes = state.trapped_writes});
  }
  return inspection;
}

Inspection AssignedDevice::Impl::inspect() {
  MutexLock lock(device_mutex_);
  return last_ ? *last_ : inspect_locked();
}

Inspection AssignedDevice::Impl::inspect_locked() {
  Inspection inspection{.device = options_.device, .guest_address = options_.guest_address};
  const uint32_t ids = config_->read(0, 4);
  inspection.vendor = static_cast<uint16_t>(ids);
  inspection.device_id = static_cast<uint16_t>(ids >> 16);
  static const PciNames names;  // to read the list takes some ten milliseconds
  inspection.name = names.device(inspection.vendor, inspection.device_id);
  inspection.interrupt_mode = mode_name(interrupts_->mode());
  for (unsigned bar = 0; bar < kBars; ++bar) {
    if (config_->bars()[bar].size != 0) inspection.bars.push_back(inspect_bar(bar));
  }
  for (const VectorState& state : interrupts_->inspect()) {
    inspection.vectors.push_back(inspect_vector(state));
  }
  inspection.set_irqs_calls = interrupts_->set_irqs_calls();
  inspection.restores = interrupts_->restores();
  inspection.damages = interrupts_->damages();
  inspection.refused_messages = interrupts_->refused_messages();
  inspection.resets = resets_;
  inspection.audits = audits_;
  inspection.device_errors = device_errors_;
  inspection.failed_accesses = config_->failed_accesses() + bars_->failed_accesses();
  return inspection;
}

}  // namespace passthru
