// SPDX-License-Identifier: MIT
// RAM around the hole below 4 GiB.
#include "vmm/guest_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "vmm/memory_map.h"

namespace passthru {

// RAM above the hole has the same offset within a huge page here as in the guest, for every size.
static_assert(kLowRamEnd % MemoryBacking::kMaxHugePage == 0);

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(uint64_t bytes,
                                                         const MemoryBacking& backing) {
  auto mapped = PASSTHRU_TRY(MappedMemory::map(bytes, backing));
  return std::unique_ptr<GuestMemory>(new GuestMemory(std::move(mapped)));
}

GuestMemory::GuestMemory(MappedMemory mapped) : mapped_(std::move(mapped)) {
  const std::span<std::byte> all = mapped_.bytes();
  const RamLayout ram = layout();
  ranges_.push_back({0, all.first(ram.low)});
  if (ram.high != 0) ranges_.push_back({kHighRamStart, all.subspan(ram.low)});
}

Result<std::span<std::byte>> GuestMemory::at(uint64_t address, uint64_t size) const {
  for (const Range& range : ranges_) {
    const uint64_t length = range.bytes.size();
    if (address < range.address || address - range.address > length) continue;
    const uint64_t offset = address - range.address;
    if (size <= length - offset) return range.bytes.subspan(offset, size);
  }
  return fail(EINVAL, "reach the guest's memory",
              fmt::format("{} bytes at {:#x} are not all RAM", size, address));
}

Result<void> GuestMemory::write(uint64_t address, std::span<const std::byte> bytes) const {
  const auto target = PASSTHRU_TRY(at(address, bytes.size()));
  std::copy(bytes.begin(), bytes.end(), target.begin());
  return {};
}

}  // namespace passthru
