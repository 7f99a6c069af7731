// SPDX-License-Identifier: MIT
// How often the host kernel has counted each vector of a device. With a KVM irqfd no code of ours
// runs when an interrupt comes, so only the kernel can count it.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "pci/bdf.h"

namespace passthru {

/// The counts of the MSI or MSI-X vectors of a device, by vector number, summed over CPUs, and
/// since when they are true. The kernel keeps the count of a vector that was unbound until the
/// device's interrupts are disabled. Reads two to four small files for each vector of that
/// device. /proc/interrupts has all interrupts of the host, and takes longer on a large host.
struct InterruptCounts {
  std::chrono::steady_clock::time_point since{};  ///< before the first byte was read
  std::vector<uint64_t> counts{};  ///< 0 where the vector has no interrupt, or sysfs does not tell

  /// Never more than `vectors` elements.
  static InterruptCounts read(Bdf bdf, unsigned vectors = kMaxVectors,
                              const std::filesystem::path& sysfs = "/sys");
  static constexpr unsigned kMaxVectors = 2048;  ///< of MSI-X
};

}  // namespace passthru
