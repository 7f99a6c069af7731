// SPDX-License-Identifier: MIT
// The loads of the table: 4 bytes each, the width that every device's table answers (PCI 3.0,
// 6.8.2).
#include "irq/physical_table.h"

#include <algorithm>
#include <array>
#include <cstddef>

#include "vfio/mmio_read.h"

namespace passthru {

PhysicalTable::PhysicalTable(std::shared_ptr<VfioDevice> device, const MsixLayout& layout)
    : device_(std::move(device)), layout_(layout) {
  const auto bar = static_cast<Region>(layout.table_bar);
  const RegionInfo& info = device_->region(bar);
  if (!info.mappable || !info.msix_mappable || !info.sparse.empty()) return;
  const uint64_t page = device_->page_size();
  const uint64_t start = layout.table_offset / page * page;
  const uint64_t end = layout.table_offset + layout.table_size();
  if (end > info.size) return;
  auto mapping =
      device_->map(bar, start, std::min(info.size, (end + page - 1) / page * page) - start);
  if (!mapping) return;  // not visible: restoring uses SET_IRQS without reading
  mapping_ = std::move(*mapping);
  table_in_mapping_ = layout.table_offset - start;
}

std::optional<MsixEntry> PhysicalTable::entry(unsigned vector) const {
  if (!visible() || vector >= layout_.vectors) return std::nullopt;
  std::array<uint32_t, MsixEntry::kSize / 4> words{};
  // If the load faults, the device does not decode memory.
  if (!try_read_mmio(mapping_.data() + table_in_mapping_ + vector * MsixEntry::kSize, words)) {
    words.fill(UINT32_MAX);
  }
  return MsixEntry{words[0], words[1], words[2], words[3]};
}

std::optional<MsixEntry> PhysicalTable::glance(unsigned vector) const {
  if (!visible() || vector >= layout_.vectors) return std::nullopt;
  const std::byte* const entry =
      mapping_.data() + table_in_mapping_ + uint64_t{vector} * MsixEntry::kSize;
  std::array<uint32_t, 1> address{}, control{};
  if (!try_read_mmio(entry, address) ||
      !try_read_mmio(entry + offsetof(MsixEntry, control), control)) {
    address[0] = control[0] = UINT32_MAX;
  }
  return MsixEntry{.address_low = address[0], .address_high = 0, .data = 0, .control = control[0]};
}

std::optional<uint16_t> PhysicalTable::control() const {
  uint16_t control = 0;
  auto read = device_->read(Region::Config, layout_.capability + 2U,
                            std::as_writable_bytes(std::span{&control, 1}));
  if (!read || control == 0xffff) return std::nullopt;
  return control;
}

uint64_t PhysicalTable::pending(unsigned word) const {
  if (!layout_.has_pba || uint64_t{word} * 8 >= layout_.pba_size()) return 0;
  // Two reads of 4 bytes: not every kernel takes 8.
  uint32_t halves[2] = {};
  for (unsigned half = 0; half < 2; ++half) {
    auto read = device_->read(static_cast<Region>(layout_.pba_bar),
                              layout_.pba_offset + uint64_t{word} * 8 + uint64_t{half} * 4,
                              std::as_writable_bytes(std::span{&halves[half], 1}));
    if (!read || halves[half] == ~uint32_t{0}) return 0;
  }
  return uint64_t{halves[1]} << 32 | halves[0];
}

}  // namespace passthru
