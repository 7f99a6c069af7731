// SPDX-License-Identifier: MIT
// AssignedDevice: resets by the guest and resets of the VM. In a reset of the VM all devices become
// quiet, then each is reset by the smallest reset that it has, then all start again. So no device
// is in use while the reset of another device in its slot or bus also resets it.
#include <array>
#include <memory>
#include <utility>

#include "device/assigned_device_impl.h"
#include "device/busy_reset.h"

namespace passthru {

void AssignedDevice::Impl::begin_guest_reset(GuestReset reset) {
  switch (reset) {
    case GuestReset::FunctionLevel:
      ++resets_.function_level;
      break;
    case GuestReset::AdvancedFeatures:
      ++resets_.advanced_features;
      break;
    case GuestReset::LeftD3Hot:
      ++resets_.left_d3hot;
      break;
  }
  disarm();
  phase_ = Phase::Resetting;
}

// A function cannot tell its driver that a reset failed (PCIe 4.0, 6.6.2). We reset the registers
// that we emulate, Bus Master Enable among them. The device keeps its other state. We report the
// failure to the VMM.
void AssignedDevice::Impl::end_guest_reset() {
  MutexLock only(resets_mutex_);
  std::shared_ptr<VfioDevice> device;
  {
    MutexLock lock(device_mutex_);
    // A reset of the VM or a detach came first.
    if (!attached() || phase_ != Phase::Resetting) return;
    device = device_;
  }
  domain_.peers().wait_for_unmapped();
  auto done = reset_device(*device);
  device.reset();
  MutexLock lock(device_mutex_);
  phase_ = Phase::Running;
  const auto registers = start_anew();
  if (done) done = registers;
  domain_.marks().add(TraceMark::Kind::Reset, options_.device);
  tell(done ? Event::Kind::DeviceReset : Event::Kind::ResetFailed,
       done ? "by the guest" : done.error().message());
}

Result<void> AssignedDevice::Impl::reset_device(VfioDevice& device) {
  if (!options_.reset || !device.resettable()) return {};
  return reset_while_busy([&] { return device.reset(); }, [this] { return leaving_.load(); });
}

// Removes the guest's view first: no guest access may reach the device while it is reset. Nor may
// DMA of other devices: before the reset, `wait_for_unmapped` waits for that without a lock.
void AssignedDevice::Impl::disarm() {
  ignore(bars_->place({}), "removing BARs never fails");
  interrupts_->stop();
}

Result<void> AssignedDevice::Impl::start_anew() {
  auto registers = config_->reset();
  interrupts_->start();
  return registers;
}

bool AssignedDevice::Impl::begin_reset() {
  MutexLock only(resets_mutex_);
  MutexLock lock(device_mutex_);
  if (!attached()) return false;
  ++resets_.vm;
  if (phase_ == Phase::Waiting) {
    stop_left_interrupts();
  } else {
    phase_ = Phase::ResetByVmm;
  }
  disarm();
  return true;
}

// As in end_guest_reset, a detach waits, and no access to config space does.
Result<void> AssignedDevice::Impl::reset_hardware(const std::set<Bdf>& reset_now,
                                                  std::set<Bdf>& done) {
  MutexLock only(resets_mutex_);
  std::shared_ptr<VfioDevice> device;
  {
    MutexLock lock(device_mutex_);
    if (!attached() || !options_.reset || done.contains(bdf())) return {};
    device = device_;
  }
  domain_.peers().wait_for_unmapped();
  done.merge(PASSTHRU_TRY(reset_device_or_bus(*device, reset_now)));
  return {};
}

Result<void> AssignedDevice::Impl::end_reset() {
  MutexLock lock(device_mutex_);
  if (!attached()) return {};
  domain_.marks().add(TraceMark::Kind::Reset, bdf());
  silent_since_.reset();
  auto done = start_anew();
  // A device that waited for its state has none now, and belongs to this process.
  if (std::exchange(phase_, Phase::Running) == Phase::Waiting) {
    device_->set_attachment(Attachment::Own);
    bar_access_.add(bars_->targets());
    if (auto bound = notices_->bind(); !bound && done) done = std::move(bound);
  }
  return std::move(done).on(bdf().str());
}

Result<void> AssignedDevice::reset() {
  const std::array<AssignedDevice*, 1> only = {this};
  if (!impl_->attached_now()) {
    return tl::unexpected(impl_->no_device("reset the device", "the device was detached"));
  }
  return reset_together(only);
}

Result<void> AssignedDevice::reset_together(std::span<AssignedDevice* const> devices) {
  std::set<Bdf> reset_now;
  for (const AssignedDevice* device : devices) {
    if (device->impl_->begin_reset() && device->impl_->may_be_reset()) {
      reset_now.insert(device->impl_->bdf());
    }
  }
  Result<void> first;
  const auto keep_first = [&first](Result<void> done) {
    if (first && !done) first = std::move(done);
  };
  std::set<Bdf> done;
  for (const AssignedDevice* device : devices) {
    keep_first(device->impl_->reset_hardware(reset_now, done));
  }
  for (const AssignedDevice* device : devices) keep_first(device->impl_->end_reset());
  return first;
}

}  // namespace passthru
