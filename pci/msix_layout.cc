// SPDX-License-Identifier: MIT
#include "pci/msix_layout.h"

#include <linux/pci_regs.h>

#include "pci/capability_list.h"

namespace passthru {

std::optional<MsixLayout> find_msix(std::span<const std::byte> config) {
  const auto capability = find_capability(config, PCI_CAP_ID_MSIX);
  if (!capability || size_t{*capability} + PCI_CAP_MSIX_SIZEOF > config.size()) return std::nullopt;

  const uint16_t control = config_u16(config, *capability + 2U);
  const uint32_t table = config_u32(config, *capability + 4U);
  const uint32_t pba = config_u32(config, *capability + 8U);
  const MsixLayout layout{.vectors = (control & PCI_MSIX_FLAGS_QSIZE) + 1U,
                          .table_bar = table & PCI_MSIX_TABLE_BIR,
                          .table_offset = table & ~uint32_t{PCI_MSIX_TABLE_BIR},
                          .pba_bar = pba & PCI_MSIX_TABLE_BIR,
                          .pba_offset = pba & ~uint32_t{PCI_MSIX_TABLE_BIR},
                          .capability = *capability};
  if (layout.table_bar >= PCI_STD_NUM_BARS || layout.pba_bar >= PCI_STD_NUM_BARS)
    return std::nullopt;
  return layout;
}

}  // namespace passthru
