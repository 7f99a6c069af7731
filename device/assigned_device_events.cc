// SPDX-License-Identifier: MIT
// AssignedDevice: events that the guest did not ask for. The host wants the device back, the device
// reports an error, or it is detached.
#include <fmt/format.h>

#include <cerrno>
#include <utility>

#include "device/assigned_device_impl.h"
#include "device/busy_reset.h"

namespace passthru {

void AssignedDevice::Impl::handle_events() {
  const FiredEvents notice = notices_->take();
  if (notice.error) {
    MutexLock lock(device_mutex_);
    ++device_errors_;
    tell(Event::Kind::DeviceError,
         "uncorrectable error (AER). The host's log has the details. The guest keeps the device");
  }
  // The kernel's recovery may have reset the device.
  if (notice.error) ignore(check_health(), "the error was reported");
  if (!notice.unplug) return;
  if (options_.on_unplug == OnUnplug::Detach) {
    if (detach(Why::Unplug)) tell(Event::Kind::UnplugRequest, "the device was detached");
    return;
  }
  MutexLock lock(device_mutex_);
  if (!attached() || std::exchange(unplug_was_told_, true)) return;
  tell(Event::Kind::UnplugRequest, "the host waits until the VMM detaches the device");
}

Error AssignedDevice::Impl::no_device(const char* operation, std::string cause) const {
  return Error{.code = ENODEV, .operation = operation, .device = options_.device.str()}.because(
      std::move(cause));
}

std::string AssignedDevice::Impl::reason_text(Why why) const {
  switch (why) {
    case Why::Unplug:
      return "the host asked for it back";
    case Why::Silence:
      return silence_text();
    case Why::Vmm:
    case Why::End:
      break;
  }
  return "by the VMM";
}

AssignedDevice::Impl::Parts AssignedDevice::Impl::take_parts(
    const std::optional<std::string>& reason) {
  if (bars_ && reason) {
    // Under the lock, so that the counts include every interrupt that the guest has had.
    last_ = inspect_locked(InterruptCounts::read(options_.device));
    last_->detached = *reason;
  }
  {
    MutexLock intx_lock(intx_mutex_);
    intx_ = nullptr;
  }
  return {.device = std::move(device_),
          .config = std::move(config_),
          .interrupts = std::move(interrupts_),
          .bars = std::move(bars_)};
}

bool AssignedDevice::Impl::detach(Why why) {
  Parts parts;
  bool unbinding = false;
  bool waited = false;
  leaving_ = true;
  {
    MutexLock only(resets_mutex_);
    MutexLock lock(device_mutex_);
    if (!attached()) return false;
    unbinding = why == Why::Unplug || unplug_was_told_;
    waited = phase_ == Phase::Waiting;
    // When this object ends, no caller can inspect it.
    parts = take_parts(why == Why::End ? std::nullopt : std::optional(reason_text(why)));
    // Reported before the close, for which the kernel waits a minute if the device does not answer.
    if (why == Why::Silence)
      tell(Event::Kind::DeviceGone, silence_text() + "; the device is detached");
  }
  // Without the lock: this waits for accesses under way, and a config access may wait for the lock.
  bar_access_.remove();
  parts.bars.reset();
  bar_access_.wait_for_removed();
  parts.interrupts.reset();
  if (notices_) notices_->unbind();
  parts.config.reset();
  // A device that waited for its state goes on for the process that has it.
  if (waited || !parts.device->resettable() || why == Why::Silence) return true;
  // This thread holds none of our locks. An unbind holds the kernel's lock of the device until the
  // device is closed, so the kernel cannot reset it at the close either. The device then keeps the
  // state that the guest left, until its next open. vfio_pci_core_disable() clears Bus Master
  // Enable.
  ignore(reset_while_busy([&] { return parts.device->reset(); }, [=] { return unbinding; }),
         "detaching goes on");
  return true;
}

}  // namespace passthru
