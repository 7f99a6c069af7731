// SPDX-License-Identifier: MIT
// The device and the VMM of a fuzzed program, from the first bytes of the input.
#pragma once

#include <array>
#include <cstdint>

#include "tests/fakes/fake_spec.h"

namespace passthru {

/// All values are valid: any input describes a device.
struct DeviceShape {
  uint8_t vectors = 0;
  uint8_t device = 0;     ///< bits, see `spec`
  uint8_t vmm = 0;        ///< bits, see the functions below
  uint8_t available = 0;  ///< if limited: MSI-X vectors of the host

  /// Returns whether the VMM has no irqfds: then each interrupt is a call with its message.
  [[nodiscard]] bool by_message() const { return (vmm & 1) != 0; }
  [[nodiscard]] bool remapping() const { return (vmm & 2) == 0; }
  [[nodiscard]] bool limited() const { return (vmm & 4) != 0; }

  [[nodiscard]] FakeSpec spec() const {
    static constexpr std::array<unsigned, 8> kVectors = {1, 2, 3, 5, 16, 33, 64, 65};
    FakeSpec spec = FakeSpec::nvme();
    spec.msix.vectors = kVectors[vectors % kVectors.size()];
    spec.msix.noresize = (device & 1) == 0;
    spec.msix.mappable = (device & 2) == 0;
    spec.resets = (device & 4) == 0;
    spec.intx = (device & 8) == 0;
    spec.msi_vectors = (device & 16) != 0 ? 1U << (device >> 5) % 6 : 0;
    if (limited()) spec.msix.available = 1 + available % spec.msix.vectors;
    return spec;
  }
};

}  // namespace passthru
