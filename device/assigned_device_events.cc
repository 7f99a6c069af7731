// SPDX-License-Identifier: MIT
// AssignedDevice: events that the guest did not ask for. The host wants the device back, the device
// reports an error, or it is detached.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "device/assigned_device_impl.h"

#include <linux/pci_regs.h>
#include "device/busy_reset.h"
#include "mmap/config_reader.h"
#include "pci/aer.h"

namespace passthru {

void AssignedDevice::Impl::handle_events() {
  const FiredEvents notice = notices_->take();
  if (notice.error) {
    handle_error();
    ignore(check_health(), "the error was reported");
  }
  if (!notice.unplug) return;
  if (options_.on_unplug == OnUnplug::Detach) {
    if (detach(Why::Unplug)) tell(Event::Kind::UnplugRequest, "the device was detached");
    return;
  }
  MutexLock lock(device_mutex_);
  if (!attached() || std::exchange(unplug_was_told_, true)) return;
  tell(Event::Kind::UnplugRequest, "the host waits until the VMM detaches the device");
}

// After a fatal error the kernel resets the link. That may be to come, under way, or over.
void AssignedDevice::Impl::handle_error() {
  MutexLock lock(device_mutex_);
  ++device_errors_;
  // During a reset the kernel may hold up a read until the reset ends.
  const bool readable = attached() && (phase_ == Phase::Running || phase_ == Phase::Silent);
  const auto errors = readable ? recorded_errors() : std::nullopt;
  errors_unread_ = readable && !errors && !answers();
  if (errors) {
    tell(Event::Kind::DeviceError,
         fmt::format("{}.{} The guest keeps the device", to_string(*errors),
                     errors->fatal() ? " The host's kernel resets the link." : ""));
  } else {
    tell(Event::Kind::DeviceError,
         errors_unread_
             ? "uncorrectable error (AER). The device does not answer now"
             : "uncorrectable error (AER). The host's log has the details. The guest keeps the "
               "device");
  }
  if (answers_guest() && answers()) {
    ignore(device_->turn_decode_on(), "the device is checked again");
  }
}

// The registers keep their bits through the reset of a link. An error that was reported before
// counts only if there is no other.
std::optional<UncorrectableErrors> AssignedDevice::Impl::recorded_errors() {
  const auto& all = config_->capabilities();
  const auto aer = std::find_if(all.begin(), all.end(), [](const Capability& each) {
    return each.extended && each.id == PCI_EXT_CAP_ID_ERR;
  });
  if (aer == all.end()) return std::nullopt;
  UncorrectableErrors errors;
  VfioDevice& device = *device_;
  const auto read = [&](uint64_t offset, uint32_t& value) {
    return device
        .read(Region::Config, aer->offset + offset, std::as_writable_bytes(std::span{&value, 1}))
        .has_value();
  };
  if (!read(PCI_ERR_UNCOR_STATUS, errors.status) || !read(PCI_ERR_UNCOR_SEVER, errors.severity) ||
      errors.status == 0 || errors.status == UINT32_MAX) {
    return std::nullopt;
  }
  const uint32_t others = errors.status & ~std::exchange(known_errors_, errors.status);
  if (others != 0) errors.status = others;
  return errors;
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
  if (waited || why == Why::Silence) return true;
  if (!options_.reset || !parts.device->resettable()) return true;
  // This thread holds none of our locks. An unbind holds the kernel's lock of the device until the
  // device is closed, so the kernel cannot reset it at the close either. The device then keeps the
  // state that the guest left, until its next open. vfio_pci_core_disable() clears Bus Master
  // Enable.
  ignore(reset_while_busy([&] { return parts.device->reset(); }, [=] { return unbinding; }),
         "detaching goes on");
  return true;
}

}  // namespace passthru
