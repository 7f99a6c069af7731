// SPDX-License-Identifier: MIT
// The state of an assigned device that goes on in another process, as values and as bytes
// (docs/state.md). Pure. The bytes may be hostile.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "irq/saved_interrupts.h"
#include "mmap/bar_info.h"
#include "mmap/config_bits.h"
#include "pci/msix_layout.h"

namespace passthru {

/// What a state and a device must have in common.
struct DeviceShape {
  uint16_t vendor = 0;
  uint16_t device = 0;
  BarInfos bars{};                   ///< as the guest sees them
  std::optional<MsixLayout> msix{};  ///< of the virtual table; empty: the guest sees no MSI-X
  bool msi = false;                  ///< the guest sees an MSI capability
  bool operator==(const DeviceShape&) const = default;
};

struct DeviceState {
  DeviceShape shape{};
  ConfigBits::Bytes config{};  ///< the virtual bits of config space
  /// Has as many vectors of MSI-X as the shape.
  SavedInterrupts interrupts{};
  bool operator==(const DeviceState&) const = default;
};

/// Returns the bytes of a state.
std::string encode(const DeviceState& state);

/// Returns the state in `bytes`. Allocates at most 2,048 vectors.
///
/// Errors:
/// - EINVAL: the bytes are not a state, or are damaged. The cause names the part.
/// - ENOTSUP: another version of Passthru wrote a state that this version cannot read.
Result<DeviceState> decode(std::string_view bytes);

/// Checks that a state belongs to a device of this shape.
///
/// Errors:
/// - EINVAL: they differ. The cause names the part.
Result<void> check_same_shape(const DeviceShape& saved, const DeviceShape& here);

}  // namespace passthru
