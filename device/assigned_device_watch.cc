// SPDX-License-Identifier: MIT
// AssignedDevice: watching, triggering and tracing interrupts.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>
#include <utility>

#include "device/assigned_device_impl.h"
#include "irq/trace_label.h"

namespace passthru {

Result<void> AssignedDevice::Impl::watch(unsigned vector, std::optional<uint64_t> label) {
  MutexLock lock(device_mutex_);
  if (!attached()) return tl::unexpected(no_device("watch a vector", "the device was detached"));
  const unsigned most = std::max(device_->irq(Irq::Msix).count, device_->irq(Irq::Msi).count);
  if (vector < most) {
    return interrupts_->watch(vector, label).on(options_.device.str());
  }
  auto refused = fail(EINVAL, "watch a vector", fmt::format("the device has {} vectors", most));
  refused.value().device = options_.device.str();
  refused.value().index = vector;
  return refused;
}

Result<void> AssignedDevice::Impl::trigger(unsigned vector) {
  MutexLock lock(device_mutex_);
  if (!attached()) return tl::unexpected(no_device("trigger a vector", "the device was detached"));
  return interrupts_->trigger(vector).on(options_.device.str());
}

void AssignedDevice::Impl::vector_changed(unsigned vector, Change change) {
  const auto kind = change == Change::Masked     ? TraceMark::Kind::Masked
                    : change == Change::Unmasked ? TraceMark::Kind::Unmasked
                                                 : TraceMark::Kind::Restored;
  domain_.marks().add(kind, options_.device, vector);
}

void AssignedDevice::Impl::trace_moves() {
  for (unsigned bar = 0; bar < kBars; ++bar) {
    const auto place = bars_->placement()[bar];
    if (std::exchange(traced_[bar], place) == place) continue;
    domain_.marks().add(TraceMark::Kind::BarMoved, options_.device, bar, place.value_or(0));
  }
}

Result<void> AssignedDevice::trigger(unsigned vector) {
  return impl_->trigger(vector);
}

Bdf AssignedDevice::bdf() const {
  return impl_->bdf();
}

Result<void> AssignedDevice::watch(unsigned vector, bool on) {
  const TraceLabel label{.device = impl_->bdf(), .vector = static_cast<uint16_t>(vector)};
  return impl_->watch(vector, on ? std::optional(label.packed()) : std::nullopt);
}

}  // namespace passthru
