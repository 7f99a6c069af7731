// SPDX-License-Identifier: MIT
// The host kernel's counts of a device's vectors. With a KVM irqfd, an interrupt runs no code of
// Passthru, so only the kernel can count it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "pci/bdf.h"

namespace passthru {

/// The counts of a device's MSI or MSI-X vectors, by vector and summed over CPUs. The kernel keeps
/// the count of an unbound vector until the device's interrupts are disabled. Reads two to four
/// small files for each vector. /proc/interrupts would list all interrupts of the host, which takes
/// longer on a large host.
struct InterruptCounts {
  std::chrono::steady_clock::time_point since{};  ///< before the first byte was read
  std::vector<uint64_t> counts{};  ///< 0 if the vector has no interrupt or sysfs does not show it

  /// Reads the counts now. The result has `vectors` elements.
  static InterruptCounts read(Bdf bdf, unsigned vectors = kMaxVectors,
                              const std::filesystem::path& sysfs = "/sys");
  static constexpr unsigned kMaxVectors = 2048;  ///< of MSI-X
};

}  // namespace passthru
