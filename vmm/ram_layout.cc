// SPDX-License-Identifier: MIT
#include "vmm/ram_layout.h"

#include <fmt/format.h>

#include <cerrno>

namespace passthru {

std::vector<MemoryRange> memory_map(const RamLayout& ram) {
  using enum MemoryRange::Kind;
  std::vector<MemoryRange> map = {
      {.address = 0, .size = kLowRamUsable, .kind = Usable},
      {.address = kAcpiTables, .size = kKernel - kAcpiTables, .kind = Reserved},
      {.address = kKernel, .size = ram.low - kKernel, .kind = Usable},
      {.address = kEcam, .size = kEcamSize, .kind = Reserved},
  };
  if (ram.high != 0) {
    map.push_back({.address = kHighRamStart, .size = ram.high, .kind = Usable});
  }
  return map;
}

Result<void> check_reach(const RamLayout& ram, unsigned bits) {
  if (ram.high == 0 || bits >= 64 || kHighRamStart + ram.high <= uint64_t{1} << bits) return {};
  const uint64_t most = (uint64_t{1} << bits) - kHighRamStart + kLowRamEnd;
  return tl::unexpected(
      Error{.code = EINVAL, .operation = "make the guest's memory"}
          .because(fmt::format("the guest's CPUs have {} address bits", bits))
          .advise(fmt::format("Give the guest at most --memory {}M", most / kMiB)));
}

}  // namespace passthru
