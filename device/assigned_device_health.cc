// SPDX-License-Identifier: MIT
// AssignedDevice: regular checks. A device whose interrupts were damaged is restored. A device that
// does not answer leaves its guest until it answers again.
#include <linux/pci_regs.h>

#include <fmt/format.h>

#include <chrono>
#include <filesystem>
#include <system_error>
#include <thread>
#include <utility>

#include "device/assigned_device_impl.h"
#include "mmap/config_reader.h"
#include "pci/aer.h"

namespace passthru {
namespace {

/// How long after a read without an answer the device is read again. A single read also fails by an
/// error on the link, or at the end of a reset.
constexpr std::chrono::milliseconds kSecondRead{10};

}  // namespace

Result<uint32_t> AssignedDevice::Impl::check_health() {
  domain_.peers().tell_refusal();
  for (bool read_before = false;; read_before = true) {
    // Without the lock: no access waits for the second read.
    if (read_before) std::this_thread::sleep_for(kSecondRead);
    MutexLock lock(device_mutex_);
    if (!attached() || (phase_ != Phase::Running && phase_ != Phase::Silent)) return 0U;
    if (answers()) return phase_ == Phase::Silent ? come_back() : audit();
    if (phase_ == Phase::Running) {
      if (!read_before) continue;
      become_silent();
    }
    if (was_silent_too_long() || left_the_machine()) break;
    return tl::unexpected(no_device("check the device", "it does not answer"));
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
  std::string detail = "its BARs are back, and its interrupts were checked";
  if (std::exchange(errors_unread_, false)) {
    if (const auto errors = recorded_errors()) detail += "; it had a " + to_string(*errors);
  }
  tell(Event::Kind::DeviceAnswers, std::move(detail));
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

}  // namespace passthru
