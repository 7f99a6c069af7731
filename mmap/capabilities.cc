// SPDX-License-Identifier: MIT
#include "mmap/capabilities.h"

#include <linux/pci_regs.h>

#include <algorithm>

#include "pci/capability_list.h"

namespace passthru {
namespace {

/// Returns the size of a capability in bytes as the spec defines it, or 0 if the spec leaves it
/// open.
size_t spec_size(std::span<const std::byte> config, uint16_t id, size_t offset) {
  switch (id) {
    case PCI_CAP_ID_PM:
    case PCI_CAP_ID_VPD:
    case PCI_CAP_ID_SSVID:
    case PCI_CAP_ID_SATA:
      return 8;
    case PCI_CAP_ID_SLOTID:
    case PCI_CAP_ID_DBG:
      return 4;
    case PCI_CAP_ID_MSI: {
      const uint16_t control = config_u16(config, offset + PCI_MSI_FLAGS);
      const size_t address = (control & PCI_MSI_FLAGS_64BIT) != 0 ? 8 : 4;
      return PCI_MSI_ADDRESS_LO + address + ((control & PCI_MSI_FLAGS_MASKBIT) != 0 ? 12 : 2);
    }
    case PCI_CAP_ID_VNDR:
      return config_u8(config, offset + PCI_CAP_FLAGS);
    case PCI_CAP_ID_EXP: {
      const uint16_t flags = config_u16(config, offset + PCI_EXP_FLAGS);
      return (flags & PCI_EXP_FLAGS_VERS) >= 2 ? PCI_CAP_EXP_ENDPOINT_SIZEOF_V2
                                               : PCI_CAP_EXP_ENDPOINT_SIZEOF_V1;
    }
    case PCI_CAP_ID_MSIX:
      return PCI_CAP_MSIX_SIZEOF;
    case PCI_CAP_ID_AF:
      return PCI_CAP_AF_SIZEOF;
    default:
      return 0;
  }
}

/// Returns where the next capability begins, or where the space of this capability ends.
size_t limit_of(const Capability& capability, const std::vector<Capability>& all,
                size_t config_size) {
  size_t limit =
      capability.extended ? config_size : std::min<size_t>(PCI_CFG_SPACE_SIZE, config_size);
  for (const Capability& other : all) {
    if (other.offset > capability.offset) limit = std::min<size_t>(limit, other.offset);
  }
  return limit;
}

}  // namespace

std::vector<Capability> find_capabilities(std::span<const std::byte> config) {
  std::vector<Capability> all;
  for (const ListedCapability& listed :
       listed_capabilities(config.first(std::min<size_t>(config.size(), 256)))) {
    const CapabilityRule& rule = capability_rule(listed.id);
    all.push_back({.id = listed.id,
                   .extended = false,
                   .offset = listed.offset,
                   .policy = rule.policy,
                   .name = rule.name,
                   .reason = rule.reason});
  }
  for (const ListedExtendedCapability& listed : listed_extended_capabilities(config)) {
    const CapabilityRule& rule = extended_capability_rule(listed.id);
    all.push_back({.id = listed.id,
                   .extended = true,
                   .offset = listed.offset,
                   .policy = rule.policy,
                   .name = rule.name,
                   .reason = rule.reason});
  }

  for (Capability& capability : all) {
    const size_t room = limit_of(capability, all, config.size()) - capability.offset;
    const size_t size =
        capability.extended ? 0 : spec_size(config, capability.id, capability.offset);
    // A vendor's length byte may be wrong, but the header exists in any case.
    const bool open = size < 2;
    capability.cut = !open && size > room;
    capability.size = static_cast<uint16_t>(open || capability.cut ? room : size);
  }
  return all;
}

}  // namespace passthru
