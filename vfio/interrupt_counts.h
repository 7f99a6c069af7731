// SPDX-License-Identifier: MIT
// Owns what the host kernel says of a device's interrupts in /proc/interrupts: how often each
// vector fired. With a KVM irqfd no code of ours sees an interrupt; the kernel's own count is the
// honest one.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "vfio/bdf.h"

namespace passthru {

/// Pure: the counts of the MSI or MSI-X vectors of `bdf`, by vector number, summed over CPUs. Finds
/// a line by the name that VFIO requested it with ("vfio-msix[3](0000:00:02.0)"), or, where nobody
/// has requested it any more, by its number in its interrupt domain: the kernel keeps the count of
/// a vector that was unbound until the device's interrupts are disabled. Vectors without a line are
/// 0. Never more than `vectors` elements.
std::vector<uint64_t> parse_interrupt_counts(std::string_view proc_interrupts, Bdf bdf,
                                             unsigned vectors);

/// The same for this machine, and since when they are true. On a large host the file has megabytes
/// and takes the kernel milliseconds: nobody reads it while a guest may wait for a lock.
struct InterruptCounts {
  std::chrono::steady_clock::time_point since{};  ///< before the first byte was read
  std::vector<uint64_t> counts{};                 ///< all 0 where /proc/interrupts cannot be read

  static InterruptCounts read(Bdf bdf, unsigned vectors = kMostVectors);
  static constexpr unsigned kMostVectors = 2048;  ///< of MSI-X
};

}  // namespace passthru
