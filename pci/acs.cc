// SPDX-License-Identifier: MIT
#include "pci/acs.h"

#include <linux/pci_regs.h>

#include <array>
#include <utility>

#include "pci/capability_list.h"

namespace passthru {
namespace {

constexpr std::array<std::pair<uint16_t, const char*>, 7> kBits = {{
    {PCI_ACS_SV, "source validation"},
    {PCI_ACS_TB, "translation blocking"},
    {PCI_ACS_RR, "request redirect"},
    {PCI_ACS_CR, "completion redirect"},
    {PCI_ACS_UF, "upstream forwarding"},
    {PCI_ACS_EC, "egress control"},
    {PCI_ACS_DT, "direct translated"},
}};

}  // namespace

std::optional<Acs> find_acs(std::span<const std::byte> config) {
  for (const ListedExtendedCapability& listed : listed_extended_capabilities(config)) {
    if (listed.id != PCI_EXT_CAP_ID_ACS) continue;
    if (listed.offset + size_t{PCI_ACS_CTRL} + 2 > config.size()) return std::nullopt;
    return Acs{.capability = config_u16(config, size_t{listed.offset} + PCI_ACS_CAP),
               .control = config_u16(config, size_t{listed.offset} + PCI_ACS_CTRL)};
  }
  return std::nullopt;
}

bool shows_extended_config(std::span<const std::byte> config) {
  return config.size() >= PCI_CFG_SPACE_SIZE;
}

std::vector<std::string> acs_words(uint16_t bits) {
  std::vector<std::string> words;
  for (const auto& [bit, name] : kBits) {
    if ((bits & bit) != 0) words.emplace_back(name);
  }
  return words;
}

}  // namespace passthru
