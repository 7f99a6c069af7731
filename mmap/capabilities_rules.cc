// SPDX-License-Identifier: MIT
// The policy table: one line per capability, with the reason. Names are those of the PCI-SIG's code
// and ID assignment.
#include <linux/pci_regs.h>

#include <algorithm>
#include <iterator>

#include "mmap/capabilities.h"

namespace passthru {
namespace {

using enum CapabilityPolicy;

constexpr const char* kHostsLink = "the link and its partner belong to the host";
constexpr const char* kHostsFabric = "it describes or steers the host's fabric, not this function";

constexpr CapabilityRule kRules[] = {
    {PCI_CAP_ID_PM, Virtualise, "Power Management",
     "the device stays in D0; the guest's D-state is ours"},
    {PCI_CAP_ID_AGP, Hide, "AGP", kHostsFabric},
    {PCI_CAP_ID_VPD, Pass, "Vital Product Data", "the kernel serialises accesses to it"},
    {PCI_CAP_ID_SLOTID, Hide, "Slot Identification", kHostsFabric},
    {PCI_CAP_ID_MSI, Virtualise, "MSI", "the guest's message differs from the host's"},
    {PCI_CAP_ID_CHSWP, Hide, "CompactPCI Hot Swap", "the host handles hot swap"},
    {PCI_CAP_ID_PCIX, Pass, "PCI-X", "the kernel decides which of its bits the guest can write"},
    {PCI_CAP_ID_HT, Hide, "HyperTransport", kHostsFabric},
    {PCI_CAP_ID_VNDR, Pass, "Vendor Specific", "only the device's driver knows its meaning"},
    {PCI_CAP_ID_DBG, Pass, "Debug Port", "it says where in a BAR the port is"},
    {PCI_CAP_ID_CCRC, Hide, "CompactPCI Central Resource Control", kHostsFabric},
    {PCI_CAP_ID_SHPC, Hide, "Hot Plug Controller", "only bridges have it"},
    {PCI_CAP_ID_SSVID, Pass, "Subsystem Vendor ID", "read-only"},
    {PCI_CAP_ID_AGP3, Hide, "AGP 8x", kHostsFabric},
    {PCI_CAP_ID_SECDEV, Hide, "Secure Device", "its use by a guest has not been reviewed"},
    {PCI_CAP_ID_EXP, Virtualise, "PCI Express",
     "passed through, except that VFIO does the function-level reset"},
    {PCI_CAP_ID_MSIX, Virtualise, "MSI-X", "the guest's table differs from the host's"},
    {PCI_CAP_ID_SATA, Pass, "SATA Data/Index", "registers of the device"},
    {PCI_CAP_ID_AF, Virtualise, "Advanced Features", "VFIO does the function-level reset"},
    {PCI_CAP_ID_EA, Hide, "Enhanced Allocation", "fixes BARs at the host's addresses"},
};

constexpr CapabilityRule kExtendedRules[] = {
    {PCI_EXT_CAP_ID_ERR, Pass, "Advanced Error Reporting",
     "the kernel decides which of its bits the guest can write"},
    {PCI_EXT_CAP_ID_VC, Hide, "Virtual Channel", kHostsFabric},
    {PCI_EXT_CAP_ID_DSN, Pass, "Device Serial Number", "read-only"},
    {PCI_EXT_CAP_ID_PWR, Pass, "Power Budgeting", "read-only except for an index"},
    {PCI_EXT_CAP_ID_RCLD, Hide, "Root Complex Link Declaration", kHostsFabric},
    {PCI_EXT_CAP_ID_RCILC, Hide, "Root Complex Internal Link Control", kHostsFabric},
    {PCI_EXT_CAP_ID_RCEC, Hide, "Root Complex Event Collector", kHostsFabric},
    {PCI_EXT_CAP_ID_MFVC, Hide, "Multi-Function Virtual Channel", kHostsFabric},
    {PCI_EXT_CAP_ID_VC9, Hide, "Virtual Channel", kHostsFabric},
    {PCI_EXT_CAP_ID_RCRB, Hide, "Root Complex Register Block", kHostsFabric},
    {PCI_EXT_CAP_ID_VNDR, Pass, "Vendor Specific", "only the device's driver knows its meaning"},
    {PCI_EXT_CAP_ID_CAC, Hide, "Configuration Access Correlation", "obsolete"},
    {PCI_EXT_CAP_ID_ACS, Hide, "Access Control Services",
     "it isolates the host's functions from each other"},
    {PCI_EXT_CAP_ID_ARI, Hide, "Alternative Routing-ID",
     "it names the host's next function, not the guest's"},
    {PCI_EXT_CAP_ID_ATS, Hide, "Address Translation Services",
     "the IOMMU it talks to is the host's"},
    {PCI_EXT_CAP_ID_SRIOV, Hide, "Single Root I/O Virtualization",
     "its functions appear on the host's bus"},
    {PCI_EXT_CAP_ID_MRIOV, Hide, "Multi-Root I/O Virtualization", kHostsFabric},
    {PCI_EXT_CAP_ID_MCAST, Hide, "Multicast", "its windows are host addresses, past the IOMMU"},
    {PCI_EXT_CAP_ID_PRI, Hide, "Page Request Interface", "the IOMMU it talks to is the host's"},
    {PCI_EXT_CAP_ID_REBAR, Hide, "Resizable BAR", "resizing moves the host's BARs"},
    {PCI_EXT_CAP_ID_DPA, Hide, "Dynamic Power Allocation", "the host controls power"},
    {PCI_EXT_CAP_ID_TPH, Hide, "TPH Requester", "its steering tags are the host's CPUs"},
    {PCI_EXT_CAP_ID_LTR, Hide, "Latency Tolerance Reporting", kHostsLink},
    {PCI_EXT_CAP_ID_SECPCI, Hide, "Secondary PCI Express", kHostsLink},
    {PCI_EXT_CAP_ID_PMUX, Hide, "Protocol Multiplexing", kHostsLink},
    {PCI_EXT_CAP_ID_PASID, Hide, "Process Address Space ID", "the IOMMU it talks to is the host's"},
    {PCI_EXT_CAP_ID_DPC, Hide, "Downstream Port Containment", "only ports have it"},
    {PCI_EXT_CAP_ID_L1SS, Hide, "L1 PM Substates", kHostsLink},
    {PCI_EXT_CAP_ID_PTM, Hide, "Precision Time Measurement", kHostsLink},
    {PCI_EXT_CAP_ID_DVSEC, Pass, "Designated Vendor-Specific",
     "only the device's driver knows its meaning"},
    {0x24, Hide, "VF Resizable BAR", "resizing moves the host's BARs"},
    {PCI_EXT_CAP_ID_DLF, Hide, "Data Link Feature", kHostsLink},
    {PCI_EXT_CAP_ID_PL_16GT, Hide, "Physical Layer 16.0 GT/s", kHostsLink},
    {0x27, Hide, "Lane Margining", kHostsLink},
    {0x2a, Hide, "Physical Layer 32.0 GT/s", kHostsLink},
    {PCI_EXT_CAP_ID_DOE, Hide, "Data Object Exchange",
     "it can change the device's identity and keys"},
};

constexpr CapabilityRule kUnknown{0, Hide, "unknown", "its use by a guest has not been reviewed"};

const CapabilityRule& find(const auto& rules, uint16_t id) {
  const auto* rule = std::find_if(std::begin(rules), std::end(rules),
                                  [id](const CapabilityRule& r) { return r.id == id; });
  return rule != std::end(rules) ? *rule : kUnknown;
}

}  // namespace

const CapabilityRule& capability_rule(uint16_t id) {
  return find(kRules, id);
}
const CapabilityRule& extended_capability_rule(uint16_t id) {
  return find(kExtendedRules, id);
}

}  // namespace passthru
