// SPDX-License-Identifier: MIT
#include "pci/host_interrupts.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <iterator>
#include <limits>
#include <numeric>
#include <utility>

#include "base/small_file.h"

namespace passthru {
namespace {

std::string_view take_word(std::string_view& text) {
  const size_t start = std::min(text.find_first_not_of(' '), text.size());
  const size_t end = std::min(text.find(' ', start), text.size());
  const std::string_view word = text.substr(start, end - start);
  text.remove_prefix(end);
  return word;
}

template <class T>
std::optional<T> whole_number(std::string_view word) {
  T value{};
  const auto [stop, error] = std::from_chars(word.data(), word.data() + word.size(), value);
  if (error != std::errc{} || stop != word.data() + word.size()) return std::nullopt;
  return value;
}

}  // namespace

std::optional<unsigned> vector_of_vfio(std::string_view name) {
  const size_t start = name.find('[');
  const size_t end = name.find(']');
  if (!name.starts_with("vfio-msi") || start == name.npos || end == name.npos || end < start) {
    return std::nullopt;
  }
  return whole_number<unsigned>(name.substr(start + 1, end - start - 1));
}

// The domain of "IR-PCI-MSIX-0000:00:02.0" belongs to the device and has its own numbers: "3-edge".
std::optional<unsigned> vector_of_domain(std::string_view chip, std::string_view hwirq, Bdf bdf) {
  const auto number = whole_number<uint64_t>(hwirq.substr(0, hwirq.find('-')));
  if (!number || chip.find("PCI-MSI") == chip.npos) return std::nullopt;
  if (chip.ends_with(bdf.str())) return static_cast<unsigned>(*number);
  return static_cast<unsigned>(*number & 0x7ff);
}

uint64_t HostInterrupt::count() const {
  return std::accumulate(counts.begin(), counts.end(), uint64_t{0});
}

std::optional<HostInterrupt> parse_host_interrupt(std::string_view text, unsigned irq, Bdf bdf) {
  const std::string start = fmt::format("{}:", irq);
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (take_word(line) != start) continue;
    HostInterrupt found{.irq = irq};
    std::string_view word = take_word(line);
    for (; !word.empty(); word = take_word(line)) {
      const auto count = whole_number<uint64_t>(word);
      if (!count) break;
      found.counts.push_back(*count);
    }
    const std::string_view chip = word;
    const std::string_view hwirq = take_word(line);
    line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
    found.name = line;
    found.remapped = chip.starts_with("IR-");
    found.vector = vector_of_vfio(found.name);
    if (!found.vector) found.vector = vector_of_domain(chip, hwirq, bdf);
    return found;
  }
  return std::nullopt;
}

std::vector<HostInterrupt> host_interrupts(const Sysfs& sysfs, Bdf bdf,
                                           const std::filesystem::path& proc) {
  std::vector<HostInterrupt> interrupts;
  const auto names = names_in(sysfs.function_path(bdf) / "msi_irqs");
  if (!names || names->empty()) return interrupts;
  std::ifstream file(proc / "interrupts");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  for (const std::string& name : *names) {
    const auto irq = whole_number<unsigned>(name);
    if (!irq) continue;
    auto found = parse_host_interrupt(text, *irq, bdf).value_or(HostInterrupt{.irq = *irq});
    found.msix = first_line(sysfs.function_path(bdf) / "msi_irqs" / name) == "msix";
    found.affinity = first_line(proc / "irq" / name / "smp_affinity_list");
    found.effective = first_line(proc / "irq" / name / "effective_affinity_list");
    interrupts.push_back(std::move(found));
  }
  const auto place = [](const HostInterrupt& each) {
    return std::pair(each.vector.value_or(std::numeric_limits<unsigned>::max()), each.irq);
  };
  std::sort(interrupts.begin(), interrupts.end(),
            [&](const auto& one, const auto& other) { return place(one) < place(other); });
  return interrupts;
}

}  // namespace passthru
