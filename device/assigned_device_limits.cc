// SPDX-License-Identifier: MIT
// AssignedDevice: reports of what the guest finds in another way than the device has it.
#include <fmt/format.h>

#include <cerrno>
#include <system_error>

#include "base/small_file.h"
#include "device/assigned_device_impl.h"
#include "pci/iomem.h"

namespace passthru {

/// Reports what the guest finds in another way than the device announces it.
void AssignedDevice::Impl::tell_limits() {
  if (const auto& msix = config_->msix(); msix && !msix->has_pba) {
    tell(Event::Kind::DeviceLimited,
         fmt::format("it announces MSI-X pending bits at offset {:#x} of BAR {}, where it has no "
                     "memory; the guest finds them in BAR {}",
                     msix->pba_offset, msix->pba_bar, config_->msix_placement().layout.pba_bar));
  }
}

/// Reports each BAR that the kernel refuses to map, once. EBUSY: something else in the host has the
/// BAR, and the kernel refuses every access to it.
void AssignedDevice::Impl::tell_refused_bars() {
  for (unsigned bar = 0; bar < kRomBar; ++bar) {
    for (const BarSpanState& state : bars_->spans(bar)) {
      if (state.error == 0) continue;
      tell(Event::Kind::DeviceLimited,
           state.error == EBUSY
               ? fmt::format("{} has BAR {}: the guest reads all ones there", holder_of(bar), bar)
               : fmt::format("the kernel cannot map BAR {} ({}): its accesses exit", bar,
                             std::generic_category().message(state.error)));
      break;
    }
  }
}

/// Returns the user of a BAR in the host, as far as this process may see it.
std::string AssignedDevice::Impl::holder_of(unsigned bar) const {
  const auto resource = read_file(domain_.sysfs().function_path(options_.device) / "resource");
  const auto memory_map = domain_.kernel().memory_map();
  const auto range = resource ? bar_range(*resource, bar) : std::nullopt;
  if (!range || !memory_map) return "something else in the host";
  const auto holders = bar_holders(*memory_map, options_.device, *range);
  if (holders.empty()) return "something else in the host (root sees it in /proc/iomem)";
  return fmt::format("'{}' of the host", fmt::join(holders, "', '"));
}

}  // namespace passthru
