// SPDX-License-Identifier: MIT
#include "vfio/attach_facts.h"

#include <fmt/format.h>

#include <sstream>

#include "base/small_file.h"

namespace passthru {
namespace {

constexpr size_t kMaxRegionsFile = size_t{64} << 10;

std::string regions_file(const Sysfs& sysfs, uint32_t group) {
  const auto file =
      sysfs.root() / "kernel/iommu_groups" / std::to_string(group) / "reserved_regions";
  return read_file(file, kMaxRegionsFile).value_or(std::string());
}

/// Returns the ranges whose type is wanted.
template <class Wanted>
std::vector<IovaRange> regions_of(std::string_view reserved_regions, Wanted wanted) {
  std::vector<IovaRange> found;
  std::istringstream lines{std::string(reserved_regions)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream fields(line);
    IovaRange range;
    std::string type;
    if (!(fields >> std::hex >> range.first >> range.last >> type)) continue;
    if (wanted(type) && range.first <= range.last) found.push_back(range);
  }
  return found;
}

std::optional<bool> remapping_in_use(const Sysfs& sysfs) {
  const auto directory = sysfs.root() / "kernel/irq";
  bool plain = false;
  for (const std::string& irq : names_in(directory).value_or(std::vector<std::string>())) {
    const std::string chip = read_file(directory / irq / "chip_name").value_or(std::string());
    if (chip.starts_with("IR-")) return true;
    plain = plain || chip.starts_with("IO-APIC") || chip.starts_with("PCI-MSI");
  }
  return plain ? std::optional(false) : std::nullopt;
}

}  // namespace

std::vector<IovaRange> parse_direct_regions(std::string_view reserved_regions) {
  return regions_of(reserved_regions, [](const std::string& type) { return type == "direct"; });
}

std::vector<IovaRange> direct_regions(const Sysfs& sysfs, uint32_t group) {
  return parse_direct_regions(regions_file(sysfs, group));
}

std::vector<IovaRange> parse_unusable_regions(std::string_view reserved_regions) {
  return regions_of(reserved_regions, [](const std::string& type) {
    return type != "direct" && type != "direct-relaxable";
  });
}

std::vector<IovaRange> unusable_regions(const Sysfs& sysfs, uint32_t group) {
  return parse_unusable_regions(regions_file(sysfs, group));
}

AttachFacts attach_facts(const Sysfs& sysfs, uint32_t group) {
  return {.direct_regions = direct_regions(sysfs, group),
          .interrupt_remapping = remapping_in_use(sysfs)};
}

std::string to_string(const std::vector<IovaRange>& ranges) {
  std::string text;
  for (const IovaRange& range : ranges) {
    if (!text.empty()) text += ", ";
    text += fmt::format("{:#x} to {:#x}", range.first, range.last);
  }
  return text;
}

}  // namespace passthru
