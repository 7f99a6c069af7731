// SPDX-License-Identifier: MIT
// AssignedDevice: events that the guest did not ask for. The host wants the device back, the device
// reports an error, its interrupts were damaged, it does not answer, or it is detached.
#include <fmt/format.h>

#include <filesystem>
#include <system_error>

#include "device/assigned_device_impl.h"

#include <linux/pci_regs.h>
#include "device/busy_reset.h"
#include "mmap/config_reader.h"

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

Result<uint32_t> AssignedDevice::Impl::check_health() {
  {
    MutexLock lock(device_mutex_);
    if (!attached() || (phase_ != Phase::Running && phase_ != Phase::Silent)) return 0U;
    if (answers()) return phase_ == Phase::Silent ? come_back() : audit();
    if (phase_ == Phase::Running) become_silent();
    if (!was_silent_too_long() && !left_the_machine()) {
      return tl::unexpected(no_device("check the device", "it does not answer"));
    }
  }
  detach(Why::Silence);
  return tl::unexpected(no_device("check the device", silence_text()));
}

void AssignedDevice::Impl::become_silent() {
  ignore(bars_->place({}), "removing BARs never fails");
  phase_ = Phase::Silent;
  tell(Event::Kind::DeviceSilent,
       fmt::format("the guest reads all ones until it answers, for at most {} s",
                   std::chrono::duration<double>(options_.max_silence).count()));
}

// On an error the device stays silent for the guest, and the next check tries again.
Result<uint32_t> AssignedDevice::Impl::come_back() {
  PASSTHRU_TRY(device_->turn_decode_on());
  if (auto placed = bars_->place(config_->placement()); !placed) {
    tell(Event::Kind::BarRefused, placed.error().message());
    return tl::unexpected(std::move(placed).error());
  }
  phase_ = Phase::Running;
  auto restored = audit();
  tell(Event::Kind::DeviceAnswers, "its BARs are back, and its interrupts were checked");
  return restored;
}

bool AssignedDevice::Impl::left_the_machine() const {
  const Sysfs& sysfs = domain_.sysfs();
  std::error_code error;
  // A confined process may not see sysfs at all.
  return std::filesystem::exists(sysfs.bus_path() / "devices", error) &&
         !std::filesystem::exists(sysfs.function_path(options_.device), error) && !error;
}

std::string AssignedDevice::Impl::silence_text() const {
  if (left_the_machine()) return "it is no longer in the machine";
  return fmt::format("it has not answered for {} ms", options_.max_silence.count());
}

Result<uint32_t> AssignedDevice::Impl::audit() {
  ++audits_;
  auto restored = interrupts_->audit().on(options_.device.str());
  // A device that cannot be restored is checked again each time, but reported only once.
  if (!std::exchange(audit_failed_, !restored) && !restored) {
    tell(Event::Kind::RestoreFailed, restored.error().message());
  }
  return restored;
}

// The kernel answers for the vendor id itself (drivers/vfio/pci/vfio_pci_config.c). The Status
// register is the hardware's.
bool AssignedDevice::Impl::answers() {
  uint16_t status = UINT16_MAX;
  const auto read =
      device_->read(Region::Config, PCI_STATUS, std::as_writable_bytes(std::span{&status, 1}));
  if (!read || !is_answer(status)) return false;
  silent_since_.reset();
  return true;
}

bool AssignedDevice::Impl::was_silent_too_long() {
  const auto now = Clock::now();
  if (!silent_since_) silent_since_ = now;
  return now - *silent_since_ >= options_.max_silence;
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
