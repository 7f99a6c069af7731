// SPDX-License-Identifier: MIT
// Owns the switch by which somebody looks at a vector of a running guest.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <optional>

#include "host/assigned_device_impl.h"
#include "irq/trace_label.h"

namespace passthru {

Result<void> AssignedDevice::Impl::watch(unsigned vector, std::optional<uint64_t> label) {
  MutexLock lock(device_mutex_);
  if (!attached()) return tl::unexpected(no_device("watch a vector", "it was detached"));
  const unsigned most = std::max(device_->irq(Irq::Msix).count, device_->irq(Irq::Msi).count);
  if (vector < most) {
    return interrupts_->watch(vector, label).on(options_.device.str());
  }
  auto refused = fail(EINVAL, "watch a vector", fmt::format("it has {} vectors", most));
  refused.value().device = options_.device.str();
  refused.value().index = vector;
  return refused;
}

Result<void> AssignedDevice::watch(unsigned vector, bool on) {
  const TraceLabel label{.device = impl_->bdf(), .vector = static_cast<uint16_t>(vector)};
  return impl_->watch(vector, on ? std::optional(label.packed()) : std::nullopt);
}

}  // namespace passthru
