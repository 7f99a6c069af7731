// SPDX-License-Identifier: MIT
// AssignedDevice: the reset of a device at its open, and the resets that use its slot or bus. The
// state that an earlier user of the device left must not reach the guest.
#include <fmt/format.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "device/assigned_device_impl.h"
#include "device/busy_reset.h"

namespace passthru {
namespace {

constexpr const char* kOldState = "the guest finds the state that the device's last user left";

/// Returns whether VFIO_DEVICE_RESET found that the device has no reset of its own. The reset
/// methods in sysfs may have changed since the device was opened.
bool has_no_reset(const Error& error) {
  return error.code == ENOTTY || error.code == EINVAL;
}

/// Returns whether a reset is impossible, rather than failed: the device itself is sound.
bool is_impossible(const Error& error) {
  return has_no_reset(error) || error.code == ENODEV || error.code == EPERM;
}

std::string reason(const Error& error) {
  return error.cause.empty() ? std::generic_category().message(error.code) : error.cause;
}

}  // namespace

Result<bool> AssignedDevice::Impl::reset_at_start(VfioDevice& device) {
  if (!options_.reset) {
    tell(Event::Kind::DeviceLimited,
         fmt::format("it is never reset, as its options say: {}, data included", kOldState));
    return false;
  }
  const auto done = reset_device_or_bus(device, {bdf()});
  if (done) return true;
  if (!is_impossible(done.error())) return tl::unexpected(done.error());
  const std::string& advice = done.error().advice;
  tell(Event::Kind::DeviceLimited,
       fmt::format("it was not reset: {}. Therefore {}{}{}", reason(done.error()), kOldState,
                   advice.empty() ? "" : ". ", advice));
  return false;
}

Result<std::set<Bdf>> AssignedDevice::Impl::reset_device_or_bus(VfioDevice& device,
                                                                const std::set<Bdf>& stopped) {
  if (device.resettable()) {
    const auto own = reset_device(device);
    if (own) return std::set<Bdf>{bdf()};
    if (!has_no_reset(own.error())) return tl::unexpected(own.error());
  }
  const auto affected = device.hot_reset_set();
  if (!affected && affected.error().code == ENODEV) {
    return tl::unexpected(
        Error(affected.error())
            .because("neither the device nor its slot or bus has a reset")
            .advise("The guest's driver must handle the device in its current state"));
  }
  if (!affected) return tl::unexpected(affected.error());
  PASSTHRU_TRY(require_all_on_vfio(*affected));
  const auto hot_reset = [&] {
    return reset_while_busy([&] { return device.hot_reset(); }, [this] { return leaving_.load(); });
  };
  auto reset = domain_.bus_resets().reset(*affected, stopped, hot_reset).on(bdf().str());
  if (!reset && reset.error().code == EINVAL) {
    return tl::unexpected(
        std::move(reset).error().because("VFIO does not have all devices of its slot or bus"));
  }
  if (!reset) return tl::unexpected(std::move(reset).error());
  std::set<Bdf> done;
  for (const HotResetFunction& function : *affected) done.insert(function.bdf);
  return done;
}

// The kernel resets a slot or bus only if VFIO has all functions there. Otherwise it answers EINVAL
// and names no function. A confined process may not see sysfs at all.
Result<void> AssignedDevice::Impl::require_all_on_vfio(
    std::span<const HotResetFunction> functions) const {
  for (const HotResetFunction& each : functions) {
    const auto function = domain_.sysfs().function(each.bdf);
    if (!function || function->on_vfio) continue;
    const std::string name = each.bdf.str();
    Error refused{.code = EPERM, .operation = "reset the slot or bus", .device = bdf().str()};
    if (function->bridge) {
      return tl::unexpected(std::move(refused).because(
          fmt::format("a reset of its slot or bus would also reset {}, which is a bridge", name)));
    }
    const std::string holder = function->driver.empty() ? "no driver" : function->driver;
    return tl::unexpected(
        std::move(refused)
            .because(fmt::format("a reset of its slot or bus would also reset {}, which has {} and "
                                 "not vfio-pci",
                                 name, holder))
            .advise(fmt::format("Bind it with 'passthru bind {}'", name)));
  }
  return {};
}

// Its guest has not accessed the device, so it cannot tell that the device does not answer for a
// moment.
bool AssignedDevice::Impl::pause() {
  MutexLock lock(device_mutex_);
  if (left_ != nullptr) return false;  // it goes on in another process
  if (!attached()) return true;
  if (!options_.reset || accessed_ || phase_ != Phase::Running) return false;
  disarm();
  phase_ = Phase::Paused;
  return true;
}

void AssignedDevice::Impl::resume() {
  MutexLock lock(device_mutex_);
  if (!attached() || phase_ != Phase::Paused) return;
  phase_ = Phase::Running;
  if (auto done = start_anew(); !done) tell(Event::Kind::ResetFailed, done.error().message());
}

}  // namespace passthru
