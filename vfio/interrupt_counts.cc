// SPDX-License-Identifier: MIT
// Owns the parsing of /proc/interrupts; names are those that drivers/vfio/pci/vfio_pci_intrs.c
// requests with.
#include "vfio/interrupt_counts.h"

#include <fmt/format.h>

#include <charconv>
#include <fstream>
#include <iterator>

namespace passthru {
namespace {

// "  55:   10   2   IR-PCI-MSIX-0000:00:02.0    3-edge      vfio-msix[3](0000:00:02.0)"
uint64_t sum_of_cpus(std::string_view line) {
  uint64_t sum = 0;
  size_t at = line.find(':');
  if (at == std::string_view::npos) return 0;
  line.remove_prefix(at + 1);
  while (true) {
    const size_t start = line.find_first_not_of(' ');
    if (start == std::string_view::npos) return sum;
    line.remove_prefix(start);
    uint64_t count = 0;
    auto [stop, error] = std::from_chars(line.data(), line.data() + line.size(), count);
    const bool whole_word = stop == line.data() + line.size() || *stop == ' ';
    if (error != std::errc{} || !whole_word) return sum;
    sum += count;
    line.remove_prefix(static_cast<size_t>(stop - line.data()));
  }
}

}  // namespace

std::vector<uint64_t> parse_interrupt_counts(std::string_view text, Bdf bdf, unsigned vectors) {
  std::vector<uint64_t> counts(vectors);
  const std::string owner = fmt::format("]({})", bdf.str());
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));

    const size_t name = line.rfind("vfio-msi");
    if (name == std::string_view::npos || line.find(owner, name) == std::string_view::npos)
      continue;
    const size_t bracket = line.find('[', name);
    unsigned vector = 0;
    auto [stop, error] =
        std::from_chars(line.data() + bracket + 1, line.data() + line.size(), vector);
    if (error == std::errc{} && vector < vectors) counts[vector] += sum_of_cpus(line);
  }
  return counts;
}

InterruptCounts InterruptCounts::read(Bdf bdf, unsigned vectors) {
  InterruptCounts read{.since = std::chrono::steady_clock::now()};
  std::ifstream file("/proc/interrupts");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  read.counts = parse_interrupt_counts(text, bdf, vectors);
  return read;
}

}  // namespace passthru
