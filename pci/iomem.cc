// SPDX-License-Identifier: MIT
#include "pci/iomem.h"

#include <charconv>
#include <sstream>

namespace passthru {
namespace {

constexpr uint64_t kMemoryResource = 0x200;      // IORESOURCE_MEM of linux/ioport.h
constexpr uint64_t kUnsetResource = 0x20000000;  // IORESOURCE_UNSET

struct IomemLine {
  HostRange range{};
  std::string_view name{};
};

std::optional<uint64_t> hex(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

/// Parses "  e0000000-e02fffff : BOOTFB".
std::optional<IomemLine> parse_iomem_line(std::string_view line) {
  const size_t begin = line.find_first_not_of(' ');
  const size_t colon = line.find(" : ");
  const size_t dash = line.find('-');
  if (begin == std::string_view::npos || colon == std::string_view::npos || dash >= colon ||
      dash < begin) {
    return std::nullopt;
  }
  const auto first = hex(line.substr(begin, dash - begin));
  const auto last = hex(line.substr(dash + 1, colon - dash - 1));
  if (!first || !last) return std::nullopt;
  return IomemLine{{*first, *last}, line.substr(colon + 3)};
}

/// Returns whether the line is the BAR itself or encloses it: a bridge, a host bridge, firmware's
/// memory map.
bool encloses(const IomemLine& line, const std::string& device, const HostRange& bar) {
  if (line.range.first > bar.first || line.range.last < bar.last) return false;
  return line.range != bar || line.name == device || line.name.starts_with("PCI Bus ");
}

}  // namespace

std::optional<HostRange> bar_range(std::string_view resource, unsigned bar) {
  std::istringstream lines{std::string(resource)};
  std::string line;
  for (unsigned i = 0; i <= bar; ++i) {
    if (!std::getline(lines, line)) return std::nullopt;
  }
  std::istringstream fields(line);
  HostRange range;
  uint64_t flags = 0;
  if (!(fields >> std::hex >> range.first >> range.last >> flags)) return std::nullopt;
  if ((flags & kMemoryResource) == 0 || (flags & kUnsetResource) != 0 || range.first == 0 ||
      range.last < range.first) {
    return std::nullopt;
  }
  return range;
}

std::vector<std::string> bar_holders(std::string_view iomem, Bdf device, const HostRange& bar) {
  std::vector<std::string> holders;
  const std::string address = device.str();
  while (!iomem.empty()) {
    const size_t end = iomem.find('\n');
    const auto line = parse_iomem_line(iomem.substr(0, end));
    iomem = end == std::string_view::npos ? std::string_view{} : iomem.substr(end + 1);
    if (!line || line->range.last < bar.first || bar.last < line->range.first) continue;
    if (line->name == "vfio-pci" || encloses(*line, address, bar)) continue;
    holders.emplace_back(line->name);
  }
  return holders;
}

}  // namespace passthru
