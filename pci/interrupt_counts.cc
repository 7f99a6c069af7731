// SPDX-License-Identifier: MIT
#include "pci/interrupt_counts.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>
#include <string_view>

#include "base/small_file.h"
#include "pci/host_interrupts.h"
#include "pci/sysfs.h"

namespace passthru {
namespace {

// The name that VFIO gives an interrupt contains the vector. An interrupt that VFIO has freed has
// no name.
std::optional<unsigned> vector_of(const std::filesystem::path& irq, Bdf bdf) {
  const std::string name = first_line(irq / "actions");
  if (!name.empty()) return vector_of_vfio(name);
  return vector_of_domain(first_line(irq / "chip_name"), first_line(irq / "hwirq"), bdf);
}

// Sums counts by CPU, "10,5". The kernel gives at most a page of them.
uint64_t sum_of_cpus(std::string_view counts) {
  uint64_t sum = 0;
  while (!counts.empty()) {
    const size_t end = std::min(counts.find(','), counts.size());
    uint64_t count = 0;
    std::from_chars(counts.data(), counts.data() + end, count);
    sum += count;
    counts.remove_prefix(std::min(end + 1, counts.size()));
  }
  return sum;
}

}  // namespace

InterruptCounts InterruptCounts::read(Bdf bdf, unsigned vectors,
                                      const std::filesystem::path& sysfs) {
  InterruptCounts read{.since = std::chrono::steady_clock::now(),
                       .counts = std::vector<uint64_t>(vectors)};
  const auto irqs = names_in(Sysfs(sysfs).function_path(bdf) / "msi_irqs");
  if (!irqs) return read;
  for (const std::string& irq : *irqs) {
    const auto directory = sysfs / "kernel/irq" / irq;
    const auto vector = vector_of(directory, bdf);
    if (!vector || *vector >= vectors) continue;
    read.counts[*vector] += sum_of_cpus(first_line(directory / "per_cpu_count"));
  }
  return read;
}

}  // namespace passthru
