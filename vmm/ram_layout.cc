// SPDX-License-Identifier: MIT
#include "vmm/ram_layout.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace passthru {
namespace {

/// No CPU reaches it, and holes and RAM behind it do not wrap around.
constexpr uint64_t kBeyondCpus = uint64_t{1} << 53;

RamHole hole_around(const ReservedRange& reserved) {
  const uint64_t begin = std::min(reserved.range.first, kBeyondCpus) / kMemoryStep * kMemoryStep;
  const uint64_t last = std::min(reserved.range.last, kBeyondCpus - 1);
  return {.begin = begin, .end = (last / kMemoryStep + 1) * kMemoryStep, .reserved = reserved};
}

/// Returns all holes, ascending. Holes that overlap are one hole, which names the first range.
std::vector<RamHole> merged_holes(const std::vector<ReservedRange>& reserved) {
  std::vector<RamHole> all = {{.begin = kLowRamEnd, .end = kHighRamStart}};
  for (const ReservedRange& each : reserved) {
    if (each.range.first < kBeyondCpus) all.push_back(hole_around(each));
  }
  std::stable_sort(all.begin(), all.end(),
                   [](const RamHole& a, const RamHole& b) { return a.begin < b.begin; });
  std::vector<RamHole> merged;
  for (const RamHole& hole : all) {
    if (merged.empty() || hole.begin >= merged.back().end) {
      merged.push_back(hole);
      continue;
    }
    merged.back().end = std::max(merged.back().end, hole.end);
  }
  return merged;
}

/// Fills the addresses between `holes` with RAM, from 0 on.
RamLayout fill(uint64_t bytes, std::vector<RamHole> holes) {
  RamLayout ram;
  uint64_t at = 0;
  for (const RamHole& hole : holes) {
    const uint64_t size = std::min(bytes, hole.begin - at);
    if (size != 0) ram.parts.push_back({.address = at, .size = size});
    bytes -= size;
    at = hole.end;
  }
  if (bytes != 0) ram.parts.push_back({.address = at, .size = bytes});
  ram.holes = std::move(holes);
  return ram;
}

void add_reserved(std::vector<MemoryRange>& map, uint64_t begin, uint64_t end) {
  if (begin >= end) return;
  map.push_back({.address = begin, .size = end - begin, .kind = MemoryRange::Kind::Reserved});
}

}  // namespace

RamLayout RamLayout::of(uint64_t bytes) {
  return fill(bytes, merged_holes({}));
}

Result<RamLayout> RamLayout::around(uint64_t bytes, const std::vector<ReservedRange>& reserved) {
  std::vector<RamHole> holes = merged_holes(reserved);
  if (const RamHole& first = holes.front(); first.begin == 0) {
    const ReservedRange& found = *first.reserved;
    return tl::unexpected(
        Error{.code = EINVAL, .operation = "place the guest's memory"}
            .because(fmt::format("the IOMMU reserves {:#x} to {:#x} for {}, and every guest needs "
                                 "its first {} MiB",
                                 found.range.first, found.range.last, found.device.str(),
                                 kMemoryStep / kMiB))
            .advise("Start the guest without this device"));
  }
  RamLayout ram = fill(bytes, std::move(holes));
  if (ram.parts.size() <= kMaxParts) return ram;
  return tl::unexpected(
      Error{.code = EINVAL, .operation = "place the guest's memory"}
          .because(fmt::format("the ranges that the IOMMU reserves cut it into {} parts, and it "
                               "can have {}",
                               ram.parts.size(), kMaxParts))
          .advise("Give the guest less memory, or fewer devices"));
}

uint64_t RamLayout::low_end() const {
  if (parts.empty()) return 0;
  return std::min(parts.back().end(), kLowRamEnd);
}

uint64_t RamLayout::high_end() const {
  return parts.empty() ? kHighRamStart : std::max(parts.back().end(), kHighRamStart);
}

std::vector<MemoryRange> memory_map(const RamLayout& ram) {
  using enum MemoryRange::Kind;
  std::vector<MemoryRange> map = {
      {.address = 0, .size = kLowRamUsable, .kind = Usable},
      {.address = kAcpiTables, .size = kKernel - kAcpiTables, .kind = Reserved},
      {.address = kEcam, .size = kEcamSize, .kind = Reserved},
  };
  uint64_t at = kKernel;
  for (const RamLayout::Part& part : ram.parts) {
    // The windows of the PCI bus are between kLowRamEnd and 4 GiB.
    add_reserved(map, at, std::min(part.address, kLowRamEnd));
    add_reserved(map, std::max(at, kHighRamStart), part.address);
    const uint64_t begin = std::max(part.address, kKernel);
    map.push_back({.address = begin, .size = part.end() - begin, .kind = Usable});
    at = part.end();
  }
  std::sort(map.begin(), map.end(),
            [](const MemoryRange& a, const MemoryRange& b) { return a.address < b.address; });
  return map;
}

Result<void> check_reach(const RamLayout& ram, unsigned bits) {
  if (bits >= 64) return {};
  const uint64_t limit = uint64_t{1} << bits;
  uint64_t reached = 0;
  uint64_t all = 0;
  for (const RamLayout::Part& part : ram.parts) {
    if (part.address < limit) reached += std::min(part.size, limit - part.address);
    all += part.size;
  }
  if (reached == all) return {};
  return tl::unexpected(
      Error{.code = EINVAL, .operation = "make the guest's memory"}
          .because(fmt::format("the guest's CPUs have {} address bits", bits))
          .advise(fmt::format("Give the guest at most --memory {}M", reached / kMiB)));
}

}  // namespace passthru
