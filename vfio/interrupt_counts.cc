// SPDX-License-Identifier: MIT
// Owns the parsing of /proc/interrupts; names are those that drivers/vfio/pci/vfio_pci_intrs.c
// requests with, numbers those of pci_msi_domain_calc_hwirq() (drivers/pci/msi/irqdomain.c).
#include "vfio/interrupt_counts.h"

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <optional>

namespace passthru {
namespace {

struct InterruptLine {
  uint64_t count = 0;         ///< of all CPUs
  std::string_view chip{};    ///< "IR-PCI-MSI", "IR-PCI-MSIX-0000:00:02.0"
  std::string_view number{};  ///< in the chip's domain: "32771-edge"
  std::string_view name{};    ///< that the driver requested it with; empty: nobody has
};

std::string_view take_word_of(std::string_view& text) {
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  const std::string_view word = text.substr(0, text.find(' '));
  text.remove_prefix(word.size());
  return word;
}

// "  55:   10   2   IR-PCI-MSIX-0000:00:02.0    3-edge      vfio-msix[3](0000:00:02.0)"
InterruptLine parse_interrupt_line(std::string_view text) {
  InterruptLine line;
  text.remove_prefix(std::min(text.find(':'), text.size() - 1) + 1);
  std::string_view word = take_word_of(text);
  for (; !word.empty(); word = take_word_of(text)) {
    uint64_t count = 0;
    const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), count);
    if (error != std::errc{} || stop != word.data() + word.size()) break;
    line.count += count;
  }
  line.chip = word;
  line.number = take_word_of(text);
  text.remove_prefix(std::min(text.find_first_not_of(' '), text.size()));
  line.name = text;
  return line;
}

std::optional<unsigned> vector_of_name(std::string_view name, std::string_view bdf) {
  const size_t start = name.find('[');
  if (!name.starts_with("vfio-msi") || start == name.npos) return std::nullopt;
  unsigned vector = 0;
  const auto [stop, error] =
      std::from_chars(name.data() + start + 1, name.data() + name.size(), vector);
  name.remove_prefix(static_cast<size_t>(stop - name.data()));
  if (error != std::errc{} || !name.starts_with("](") || !name.substr(2).starts_with(bdf)) {
    return std::nullopt;
  }
  return vector;
}

// The device's own domain (since Linux 6.2) counts its vectors. In the machine's, the lowest 11
// bits are the vector, the next 16 the requester id, and the segment comes above.
std::optional<unsigned> vector_of_number(const InterruptLine& line, Bdf bdf) {
  uint64_t number = 0;
  const auto [stop, error] =
      std::from_chars(line.number.data(), line.number.data() + line.number.size(), number);
  if (error != std::errc{} || stop == line.number.data()) return std::nullopt;
  if (line.chip.find("PCI-MSI") == line.chip.npos) return std::nullopt;
  if (line.chip.ends_with(bdf.str())) return static_cast<unsigned>(number);
  const uint64_t device = uint64_t{bdf.segment} << 16 | bdf.requester_id();
  if (number >> 11 != device) return std::nullopt;
  return static_cast<unsigned>(number & 0x7ff);
}

}  // namespace

std::vector<uint64_t> parse_interrupt_counts(std::string_view text, Bdf bdf, unsigned vectors) {
  std::vector<uint64_t> counts(vectors);
  const std::string name = bdf.str();
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view row = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (row.find("PCI-MSI") == row.npos && row.find("vfio-msi") == row.npos) continue;
    const InterruptLine line = parse_interrupt_line(row);
    const auto vector =
        line.name.empty() ? vector_of_number(line, bdf) : vector_of_name(line.name, name);
    if (vector && *vector < vectors) counts[*vector] += line.count;
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
