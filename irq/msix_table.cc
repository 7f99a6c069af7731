// SPDX-License-Identifier: MIT
// The conversion of guest writes to entries. It handles every width by bytes: the entries are the
// table's little-endian image.
#include "irq/msix_table.h"

#include <algorithm>
#include <bit>
#include <cstring>

namespace passthru {
namespace {

static_assert(std::endian::native == std::endian::little,
              "an MsixEntry is its own image in the table");

constexpr uint64_t kDataOffset = offsetof(MsixEntry, data);
// The mask is the only writable bit of vector control; all others are reserved and read zero.
constexpr uint32_t kWritableControl = MsixEntry::kMasked;
constexpr uint16_t kWritableMessageControl = PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL;

}  // namespace

MsixTable::MsixTable(unsigned vectors) : entries_(vectors), taken_(vectors) {}

void MsixTable::read(uint64_t offset, std::span<std::byte> data) const {
  std::fill(data.begin(), data.end(), std::byte{0xff});
  if (offset >= size()) return;
  const size_t inside = std::min<uint64_t>(data.size(), size() - offset);
  std::memcpy(data.data(), reinterpret_cast<const std::byte*>(entries_.data()) + offset, inside);
}

MsixTable::Touched MsixTable::write(uint64_t offset, std::span<const std::byte> data) {
  if (offset >= size() || data.empty()) return {};
  const uint64_t end = offset + std::min<uint64_t>(data.size(), size() - offset);
  const auto first = static_cast<unsigned>(offset / MsixEntry::kSize);
  const auto last = static_cast<unsigned>((end - 1) / MsixEntry::kSize);

  std::memcpy(reinterpret_cast<std::byte*>(entries_.data()) + offset, data.data(), end - offset);
  for (unsigned vector = first; vector <= last; ++vector) {
    entries_[vector].control &= kWritableControl;
    const uint64_t entry = vector * MsixEntry::kSize;
    const bool completes = end > entry + kDataOffset;
    if (completes || !live(vector)) take_over(vector);
  }
  return {first, last - first + 1};
}

MsixTable::Touched MsixTable::write_control(uint16_t value) {
  const auto kept = static_cast<uint16_t>(value & kWritableMessageControl);
  if (kept == control_) return {};
  control_ = kept;
  for (unsigned vector = 0; vector < vectors(); ++vector) take_over(vector);
  return {0, vectors()};
}

void MsixTable::load(unsigned vector, const MsixEntry& entry, const MsiMessage& in_force) {
  entries_[vector] = entry;
  entries_[vector].control &= kWritableControl;
  taken_[vector] = in_force;
}

void MsixTable::load_control(uint16_t value) {
  control_ = value & kWritableMessageControl;
}

bool MsixTable::live(unsigned vector) const {
  return control_ == PCI_MSIX_FLAGS_ENABLE && !entries_[vector].masked();
}

void MsixTable::reset() {
  std::fill(entries_.begin(), entries_.end(), MsixEntry{});
  std::fill(taken_.begin(), taken_.end(), MsiMessage{});
  control_ = 0;
}

}  // namespace passthru
