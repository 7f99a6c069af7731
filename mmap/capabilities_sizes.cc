// SPDX-License-Identifier: MIT
// The sizes of capabilities, as the PCI specifications define them.
#include <linux/pci_regs.h>

#include "mmap/capabilities.h"
#include "pci/capability_list.h"

namespace passthru {
namespace {

using Config = std::span<const std::byte>;

constexpr uint16_t kVfResizableBar = 0x24;
constexpr uint16_t kLaneMargining = 0x27;
constexpr uint16_t kPhysicalLayer32 = 0x2a;
constexpr uint16_t kMaxLanes = 32;

struct FixedSize {
  uint16_t id;
  uint16_t size;
};

constexpr FixedSize kExtendedSizes[] = {
    {PCI_EXT_CAP_ID_DSN, PCI_EXT_CAP_DSN_SIZEOF},
    {PCI_EXT_CAP_ID_PWR, PCI_EXT_CAP_PWR_SIZEOF},
    {PCI_EXT_CAP_ID_RCILC, 12},
    {PCI_EXT_CAP_ID_RCEC, 12},
    {PCI_EXT_CAP_ID_RCRB, 20},
    {PCI_EXT_CAP_ID_CAC, 8},
    {PCI_EXT_CAP_ID_ARI, PCI_EXT_CAP_ARI_SIZEOF},
    {PCI_EXT_CAP_ID_ATS, PCI_EXT_CAP_ATS_SIZEOF},
    {PCI_EXT_CAP_ID_SRIOV, PCI_EXT_CAP_SRIOV_SIZEOF},
    {PCI_EXT_CAP_ID_MCAST, PCI_EXT_CAP_MCAST_ENDPOINT_SIZEOF},
    {PCI_EXT_CAP_ID_PRI, PCI_EXT_CAP_PRI_SIZEOF},
    {PCI_EXT_CAP_ID_LTR, PCI_EXT_CAP_LTR_SIZEOF},
    {PCI_EXT_CAP_ID_PASID, PCI_EXT_CAP_PASID_SIZEOF},
    {PCI_EXT_CAP_ID_L1SS, 20},  // with the status register of PCIe 6.0
    {PCI_EXT_CAP_ID_PTM, 12},
    {PCI_EXT_CAP_ID_DLF, 12},
    {PCI_EXT_CAP_ID_DOE, 24},
    // These have registers for each lane. The size is that of the widest link.
    {PCI_EXT_CAP_ID_SECPCI, 12 + 2 * kMaxLanes},
    {PCI_EXT_CAP_ID_PL_16GT, 32 + kMaxLanes},
    {kLaneMargining, 8 + 4 * kMaxLanes},
    {kPhysicalLayer32, 32 + kMaxLanes},
};

size_t express_size(uint16_t flags) {
  const bool has_link = (flags & PCI_EXP_FLAGS_TYPE) >> 4 != PCI_EXP_TYPE_RC_END;
  if ((flags & PCI_EXP_FLAGS_VERS) >= 2) {
    return has_link ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V2 : PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V2;
  }
  return has_link ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V1 : PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V1;
}

size_t msi_size(uint16_t control) {
  const size_t address = (control & PCI_MSI_FLAGS_64BIT) != 0 ? 8 : 4;
  return PCI_MSI_ADDRESS_LO + address + ((control & PCI_MSI_FLAGS_MASKBIT) != 0 ? 12 : 2);
}

/// Resizable BAR: a header, and two registers for each BAR.
size_t resizable_size(Config config, size_t offset) {
  const uint32_t control = config_u32(config, offset + PCI_REBAR_CTRL);
  return 4 + size_t{8} * ((control & PCI_REBAR_CTRL_NBAR_MASK) >> PCI_REBAR_CTRL_NBAR_SHIFT);
}

/// Access Control Services: the egress control vector has a bit for each port or function.
size_t acs_size(Config config, size_t offset) {
  if ((config_u8(config, offset + PCI_ACS_CAP) & PCI_ACS_EC) == 0) return PCI_ACS_EGRESS_CTL_V;
  const size_t bits = config_u8(config, offset + PCI_ACS_EGRESS_BITS);
  return PCI_ACS_EGRESS_CTL_V + 4 * (((bits == 0 ? 256 : bits) + 31) / 32);
}

}  // namespace

size_t capability_size(Config config, uint16_t id, size_t offset) {
  switch (id) {
    case PCI_CAP_ID_PM:
    case PCI_CAP_ID_VPD:
    case PCI_CAP_ID_SSVID:
    case PCI_CAP_ID_SATA:
    case PCI_CAP_ID_SHPC:
      return 8;
    case PCI_CAP_ID_SLOTID:
    case PCI_CAP_ID_CHSWP:
    case PCI_CAP_ID_DBG:
      return 4;
    case PCI_CAP_ID_AGP:
      return PCI_AGP_SIZEOF;
    case PCI_CAP_ID_MSI:
      return msi_size(config_u16(config, offset + PCI_MSI_FLAGS));
    case PCI_CAP_ID_VNDR:
      return config_u8(config, offset + PCI_CAP_FLAGS);
    case PCI_CAP_ID_EXP:
      return express_size(config_u16(config, offset + PCI_EXP_FLAGS));
    case PCI_CAP_ID_MSIX:
      return PCI_CAP_MSIX_SIZEOF;
    case PCI_CAP_ID_AF:
      return PCI_CAP_AF_SIZEOF;
    default:
      return 0;
  }
}

size_t extended_capability_size(Config config, uint16_t id, size_t offset) {
  for (const FixedSize& each : kExtendedSizes) {
    if (each.id == id) return each.size;
  }
  switch (id) {
    case PCI_EXT_CAP_ID_VNDR:
    case PCI_EXT_CAP_ID_DVSEC:
      return config_u32(config, offset + PCI_VSEC_HDR) >> PCI_VSEC_HDR_LEN_SHIFT;
    case PCI_EXT_CAP_ID_ACS:
      return acs_size(config, offset);
    case PCI_EXT_CAP_ID_REBAR:
    case kVfResizableBar:
      return resizable_size(config, offset);
    default:
      return 0;
  }
}

}  // namespace passthru
