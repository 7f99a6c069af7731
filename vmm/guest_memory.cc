// SPDX-License-Identifier: MIT
// RAM around its holes.
#include "vmm/guest_memory.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "vmm/memory_map.h"

namespace passthru {

// RAM above the hole below 4 GiB has the same offset within a huge page here as in the guest, for
// every size. Behind other holes this is so for huge pages of 2 MiB.
static_assert(kLowRamEnd % MemoryBacking::kMaxHugePage == 0);
static_assert(kMemoryStep % MemoryBacking::kUsualHugePage == 0);

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(RamLayout layout,
                                                         const MemoryBacking& backing) {
  uint64_t bytes = 0;
  for (const RamLayout::Part& part : layout.parts) bytes += part.size;
  auto mapped = PASSTHRU_TRY(MappedMemory::map(bytes, backing));
  return std::unique_ptr<GuestMemory>(new GuestMemory(std::move(mapped), std::move(layout)));
}

Result<std::unique_ptr<GuestMemory>> GuestMemory::create(uint64_t bytes,
                                                         const MemoryBacking& backing) {
  return create(RamLayout::of(bytes), backing);
}

GuestMemory::GuestMemory(MappedMemory mapped, RamLayout layout)
    : mapped_(std::move(mapped)), layout_(std::move(layout)) {
  std::span<std::byte> left = mapped_.bytes();
  for (const RamLayout::Part& part : layout_.parts) {
    ranges_.push_back({part.address, left.first(part.size)});
    left = left.subspan(part.size);
  }
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
