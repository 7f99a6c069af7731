// SPDX-License-Identifier: MIT
// AssignedDevice: config accesses, and the reports of events.
#include "device/assigned_device.h"

#include <fmt/format.h>

#include <utility>

#include "device/assigned_device_impl.h"

namespace passthru {
namespace {

constexpr unsigned kAboutIntx = UINT32_MAX;

constexpr uint32_t all_ones(unsigned width) {
  return UINT32_MAX >> (32 - 8 * width);
}

}  // namespace

AssignedDevice::Impl::~Impl() {
  detach(Why::End);
  domain_.bus_resets().remove(*this);
  domain_.peers().remove_device();
}

uint32_t AssignedDevice::Impl::config_read(uint32_t offset, unsigned width) {
  MutexLock lock(device_mutex_);
  if (!answers_guest()) return all_ones(width);
  accessed_ = true;
  if (config_->covers_msi_pending(offset, width)) {
    config_->set_msi_pending(interrupts_->msi_pending());
  }
  return config_->read(offset, width);
}

void AssignedDevice::Impl::config_write(uint32_t offset, unsigned width, uint32_t value) {
  bool moved = false;
  bool resets = false;
  {
    MutexLock lock(device_mutex_);
    if (!answers_guest()) return;
    accessed_ = true;
    const ConfigChange change = config_->write(offset, width, value);
    moved = change.decode_changed;
    apply(change);
    resets = phase_ == Phase::Resetting;
  }
  if (resets) return end_guest_reset();
  if (moved) wait_for_peers();
}

// The guest may start DMA to the BAR as soon as its write has returned. No other access waits.
void AssignedDevice::Impl::wait_for_peers() {
  domain_.peers().wait_for_mapped();
  domain_.peers().tell_refusal();
}

void AssignedDevice::Impl::apply(const ConfigChange& change) {
  if (change.reset_requested) return begin_guest_reset(*change.reset_requested);
  if (change.decode_changed) {
    if (auto placed = bars_->place(config_->placement()); !placed) {
      // The register keeps its value, as the mapping does: the guest reads that its move did not
      // happen.
      config_->undo(change);
      tell(Event::Kind::BarRefused, placed.error().message());
      return;
    }
    trace_moves();
  }
  if (change.power_state) interrupts_->set_awake(*change.power_state == 0);
  if (change.msix_control) interrupts_->write_msix_control(*change.msix_control);
  if (change.msi_changed) interrupts_->write_msi(config_->msi().value_or(MsiRegisters{}));
}

void AssignedDevice::Impl::end_of_intx() {
  MutexLock lock(intx_mutex_);
  if (intx_ != nullptr) intx_->end_of_intx();
}

void AssignedDevice::Impl::retranslate(const MessageFilter& concerns) {
  MutexLock lock(device_mutex_);
  if (attached()) interrupts_->retranslate(concerns);
}

void AssignedDevice::Impl::vector_failed(unsigned vector, const Error& error) {
  tell(Event::Kind::VectorFailed, fmt::format("vector {}: {}", vector, error.message()), vector);
}

void AssignedDevice::Impl::vectors_restored(unsigned count) {
  tell(Event::Kind::DamageRestored, fmt::format("{} vectors restored", count));
}

void AssignedDevice::Impl::intx_failed(const Error& error) {
  tell(Event::Kind::VectorFailed, "INTx: " + error.message(), kAboutIntx);
}

// An unplug request, and the end of a device, come once each: they have no limit.
void AssignedDevice::Impl::tell(Event::Kind kind, std::string detail, unsigned about) {
  if (kind != Event::Kind::UnplugRequest && kind != Event::Kind::DeviceGone) {
    MutexLock lock(events_mutex_);
    const auto held_back = limits_[{kind, about}].admit(Clock::now());
    if (!held_back) return;
    if (*held_back != 0) detail += fmt::format(" ({} earlier events not reported)", *held_back);
  }
  domain_.hypervisor().on_event({.kind = kind,
                                 .device = options_.device,
                                 .detail = std::move(detail),
                                 .guest_address = options_.guest_address});
}

AssignedDevice::AssignedDevice(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
AssignedDevice::~AssignedDevice() = default;

uint32_t AssignedDevice::config_read(uint32_t offset, unsigned width) {
  return impl_->config_read(offset, width);
}

void AssignedDevice::config_write(uint32_t offset, unsigned width, uint32_t value) {
  impl_->config_write(offset, width, value);
}

void AssignedDevice::end_of_intx() {
  impl_->end_of_intx();
}

void AssignedDevice::retranslate(const MessageFilter& concerns) {
  impl_->retranslate(concerns);
}

Result<uint32_t> AssignedDevice::check_health() {
  return impl_->check_health();
}

std::vector<int> AssignedDevice::event_fds() const {
  return impl_->event_fds();
}

void AssignedDevice::handle_events() {
  impl_->handle_events();
}

bool AssignedDevice::is_silent() const {
  return impl_->is_silent();
}

void AssignedDevice::detach() {
  impl_->detach(Impl::Why::Vmm);
}

Inspection AssignedDevice::inspect() const {
  return impl_->inspect();
}

}  // namespace passthru
