// SPDX-License-Identifier: MIT
#include "pci/aer.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <array>
#include <utility>

namespace passthru {
namespace {

constexpr std::array<std::pair<uint32_t, const char*>, 16> kErrors = {{
    {PCI_ERR_UNC_DLP, "data link protocol"},
    {PCI_ERR_UNC_SURPDN, "surprise down"},
    {PCI_ERR_UNC_POISON_TLP, "poisoned TLP"},
    {PCI_ERR_UNC_FCP, "flow control protocol"},
    {PCI_ERR_UNC_COMP_TIME, "completion timeout"},
    {PCI_ERR_UNC_COMP_ABORT, "completer abort"},
    {PCI_ERR_UNC_UNX_COMP, "unexpected completion"},
    {PCI_ERR_UNC_RX_OVER, "receiver overflow"},
    {PCI_ERR_UNC_MALF_TLP, "malformed TLP"},
    {PCI_ERR_UNC_ECRC, "ECRC"},
    {PCI_ERR_UNC_UNSUP, "unsupported request"},
    {PCI_ERR_UNC_ACSV, "ACS violation"},
    {PCI_ERR_UNC_INTN, "internal error"},
    {PCI_ERR_UNC_MCBTLP, "blocked multicast TLP"},
    {PCI_ERR_UNC_ATOMEG, "blocked AtomicOp"},
    {PCI_ERR_UNC_TLPPRE, "blocked TLP prefix"},
}};

std::string names_of(uint32_t bits) {
  std::string names;
  const auto add = [&names](const std::string& name) {
    names += (names.empty() ? "" : ", ") + name;
  };
  for (const auto& [bit, name] : kErrors) {
    if ((bits & bit) != 0) add(name);
    bits &= ~bit;
  }
  for (unsigned bit = 0; bit < 32; ++bit) {
    if ((bits >> bit & 1) != 0) add(fmt::format("bit {}", bit));
  }
  return names;
}

}  // namespace

std::string to_string(const UncorrectableErrors& errors) {
  const uint32_t fatal = errors.status & errors.severity;
  const uint32_t other = errors.status & ~errors.severity;
  std::string text = fatal != 0 ? "fatal error (AER): " + names_of(fatal) : "";
  if (other != 0) {
    text += fmt::format("{}error that is not fatal{}: {}", fatal != 0 ? "; " : "",
                        fatal != 0 ? "" : " (AER)", names_of(other));
  }
  return text + fmt::format(" (status {:#010x})", errors.status);
}

}  // namespace passthru
