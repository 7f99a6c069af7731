// SPDX-License-Identifier: MIT
#include "pci/msix_layout.h"

#include "pci/capability_list.h"

namespace passthru {
namespace {

constexpr uint8_t kMsixId = 0x11;
constexpr size_t kCapabilitySize = 12;
constexpr uint16_t kTableSizeMask = 0x7ff;  // Message Control: vectors - 1
constexpr uint32_t kBarIndicatorMask = 7;   // in the low bits of both offsets
constexpr unsigned kBars = 6;

}  // namespace

std::optional<MsixLayout> find_msix(std::span<const std::byte> config) {
  const auto capability = find_capability(config, kMsixId);
  if (!capability || *capability + kCapabilitySize > config.size()) return std::nullopt;

  const uint16_t control = config_u16(config, *capability + 2U);
  const uint32_t table = config_u32(config, *capability + 4U);
  const uint32_t pba = config_u32(config, *capability + 8U);
  const MsixLayout layout{.vectors = (control & kTableSizeMask) + 1U,
                          .table_bar = table & kBarIndicatorMask,
                          .table_offset = table & ~kBarIndicatorMask,
                          .pba_bar = pba & kBarIndicatorMask,
                          .pba_offset = pba & ~kBarIndicatorMask,
                          .capability = *capability};
  if (layout.table_bar >= kBars || layout.pba_bar >= kBars) return std::nullopt;
  return layout;
}

}  // namespace passthru
