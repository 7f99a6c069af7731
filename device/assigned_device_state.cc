// SPDX-License-Identifier: MIT
// AssignedDevice: the state of a device that goes on in another process. The order in which the
// old process leaves the device and the new process takes it over loses no interrupt:
//
// 1. The old process removes the BARs, so the guest changes no vector. It takes the eventfds back
//    from the VMM, and unbinds them. A vector that has fired and was not delivered is pending.
// 2. MSI-X stays enabled. The kernel masks vectors without an eventfd, so the device keeps what it
//    fires now in its pending bits. MSI without mask bits keeps its eventfds: what fires now is
//    lost. INTx keeps its eventfd, and the kernel masks the pin when it fires.
// 3. The new process binds its eventfds. It signals each live vector once: that covers what was
//    lost, and what the VMM delivered after it had saved its interrupt controller. It unmasks INTx,
//    and a line that is still asserted fires again.
#include <cerrno>
#include <utility>

#include "device/assigned_device_impl.h"

namespace passthru {
namespace {

Error no_state(const char* operation, Bdf bdf, int code, const char* cause) {
  return Error{.code = code, .operation = operation, .device = bdf.str()}.because(cause);
}

}  // namespace

Result<DeviceDescriptors> AssignedDevice::Impl::descriptors() {
  std::shared_ptr<VfioDevice> device;
  {
    MutexLock lock(device_mutex_);
    device = left_ ? left_ : device_;
  }
  if (!device) return tl::unexpected(no_device("hand the device over", "it was detached"));
  // Without the lock: this waits while memory is mapped for DMA.
  return device->descriptors();
}

DeviceShape AssignedDevice::Impl::shape() {
  const uint32_t ids = config_->read(0, 4);
  DeviceShape shape{.vendor = static_cast<uint16_t>(ids),
                    .device = static_cast<uint16_t>(ids >> 16),
                    .bars = config_->bars(),
                    .msi = config_->msi().has_value()};
  if (config_->msix()) shape.msix = config_->msix_placement().layout;
  return shape;
}

Result<std::string> AssignedDevice::Impl::save_state() {
  constexpr const char* kOperation = "save the device's state";
  DeviceState state;
  Parts parts;
  {
    MutexLock only(resets_mutex_);
    MutexLock lock(device_mutex_);
    if (!attached()) return tl::unexpected(no_device(kOperation, "the device was detached"));
    if (phase_ == Phase::Resetting) {
      return tl::unexpected(no_state(kOperation, bdf(), EBUSY, "the guest is resetting it"));
    }
    if (phase_ == Phase::Paused || phase_ == Phase::ResetByVmm) {
      return tl::unexpected(no_state(kOperation, bdf(), EBUSY, "it is being reset"));
    }
    if (phase_ == Phase::Waiting) {
      return tl::unexpected(no_state(kOperation, bdf(), EINVAL, "it waits for a state itself"));
    }
    state.shape = shape();
    state.config = config_->saved();
    parts = take_parts("it went on in another process");
    left_ = parts.device;
    left_->set_attachment(Attachment::HandedOver);
  }
  // Without the lock, as in `detach`.
  bar_access_.remove();
  parts.bars.reset();
  bar_access_.wait_for_removed();
  state.interrupts = parts.interrupts->leave(parts.config->msi_maskable());
  state.interrupts.msix.vectors.resize(state.shape.msix ? state.shape.msix->vectors : 0);
  notices_->unbind();
  return encode(state);
}

Result<void> AssignedDevice::Impl::load_state(std::string_view bytes) {
  constexpr const char* kOperation = "load the device's state";
  MutexLock only(resets_mutex_);
  MutexLock lock(device_mutex_);
  if (!attached()) return tl::unexpected(no_device(kOperation, "the device was detached"));
  if (phase_ != Phase::Waiting) {
    return tl::unexpected(
        no_state(kOperation, bdf(), EINVAL, "it runs already, and does not wait for a state"));
  }
  const DeviceState state = PASSTHRU_TRY(decode(bytes).on(bdf().str()));
  PASSTHRU_TRY(check_same_shape(state.shape, shape()).on(bdf().str()));
  PASSTHRU_TRY(config_->load(state.config).on(bdf().str()));
  if (auto placed = place_loaded(); !placed) {
    config_->forget();
    return std::move(placed).on(bdf().str());
  }
  device_->adopt_bus_mastering();
  trace_moves();
  bar_access_.add(bars_->targets());
  interrupts_->load(state.interrupts, config_->msix_control(),
                    config_->msi().value_or(MsiRegisters{}), config_->power_state() == 0);
  phase_ = Phase::Running;
  device_->set_attachment(Attachment::Own);
  return {};
}

Result<void> AssignedDevice::Impl::place_loaded() {
  PASSTHRU_TRY(bars_->place(config_->placement()));
  auto bound = notices_->bind();
  if (!bound) ignore(bars_->place({}), "removing BARs never fails");
  return bound;
}

void AssignedDevice::Impl::stop_left_interrupts() {
  for (const Irq irq : {Irq::Intx, Irq::Msi, Irq::Msix}) {
    ignore(device_->disable_irqs(irq), "at most one of them is enabled");
  }
}

Result<DeviceDescriptors> AssignedDevice::descriptors() const {
  return impl_->descriptors();
}

Result<std::string> AssignedDevice::save_state() {
  return impl_->save_state();
}

Result<void> AssignedDevice::load_state(std::string_view state) {
  PASSTHRU_TRY(impl_->load_state(state));
  impl_->wait_for_peers();
  return {};
}

}  // namespace passthru
