// SPDX-License-Identifier: MIT
#include "mmap/capabilities.h"

#include <linux/pci_regs.h>

#include <algorithm>

#include "pci/capability_list.h"

namespace passthru {
namespace {

/// Returns how many bytes must be there. Some functions end version 1 of PCI Express before the
/// link's registers, whatever their type. Passthru needs the registers before those.
size_t least_size(std::span<const std::byte> config, const Capability& capability, size_t size) {
  if (capability.extended || capability.id != PCI_CAP_ID_EXP) return size;
  const uint16_t flags = config_u16(config, capability.offset + size_t{PCI_EXP_FLAGS});
  return (flags & PCI_EXP_FLAGS_VERS) < 2 ? PCI_CAP_EXP_RC_ENDPOINT_SIZEOF_V1 : size;
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
    const size_t size = capability.extended
                            ? extended_capability_size(config, capability.id, capability.offset)
                            : capability_size(config, capability.id, capability.offset);
    // A vendor's length may be wrong, but the header exists in any case.
    const size_t header = capability.extended ? PCI_CAP_SIZEOF : PCI_CAP_FLAGS;
    const bool open = size < header;
    capability.cut = !open && least_size(config, capability, size) > room;
    capability.size = static_cast<uint16_t>(open ? room : std::min(size, room));
  }
  return all;
}

}  // namespace passthru
