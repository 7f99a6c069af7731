// SPDX-License-Identifier: MIT
// Owns what the host kernel says of a device's interrupts: how often each vector fired. With a KVM
// irqfd no code of ours sees an interrupt; the kernel's own count is the honest one.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <vector>

#include "vfio/bdf.h"

namespace passthru {

/// The counts of the MSI or MSI-X vectors of a device, by vector number, summed over CPUs, and
/// since when they are true. The kernel keeps the count of a vector that was unbound until the
/// device's interrupts are disabled. Costs two or three small files a vector of that device; what
/// other interrupts the host has does not matter, as it would in /proc/interrupts.
struct InterruptCounts {
  std::chrono::steady_clock::time_point since{};  ///< before the first byte was read
  std::vector<uint64_t> counts{};  ///< 0 where the vector has no interrupt, or sysfs does not tell

  /// Never more than `vectors` elements.
  static InterruptCounts read(Bdf bdf, unsigned vectors = kMostVectors,
                              const std::filesystem::path& sysfs = "/sys");
  static constexpr unsigned kMostVectors = 2048;  ///< of MSI-X
};

}  // namespace passthru
