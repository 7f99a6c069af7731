// SPDX-License-Identifier: MIT
// ConfigSpace: the description of each bit of config space. It says whether the bit is Passthru's
// or the device's, and whether the guest may write it. It is made once, with the ConfigSpace. A
// later description of a bit overrides an earlier description.
#include <linux/pci_regs.h>

#include <algorithm>
#include <bit>
#include <utility>

#include "mmap/config_space.h"
#include "pci/capability_list.h"

namespace passthru {
namespace {

constexpr uint64_t kLargest32BitBar = uint64_t{1} << 31;
constexpr uint64_t kMaxBar = uint64_t{1} << 62;
constexpr uint64_t kMinMemoryBar = 16;
constexpr uint64_t kMinIoBar = 4;
constexpr uint64_t kMinRom = 2048;

uint32_t low(uint64_t value) {
  return static_cast<uint32_t>(value);
}
uint32_t high(uint64_t value) {
  return static_cast<uint32_t>(value >> 32);
}

void hide(Capability& capability, const char* reason) {
  capability.policy = CapabilityPolicy::Hide;
  capability.reason = reason;
}

}  // namespace

Result<void> ConfigSpace::describe(Snapshot config) {
  for (uint32_t offset = 0; offset < source_.size; offset += 4) {
    if (offset < PCI_STD_HEADER_SIZEOF) {
      bits_.pass_reads(offset, 4, UINT32_MAX);
    } else {
      bits_.pass(offset, 4, UINT32_MAX);
    }
  }
  shape_bars(config);
  capabilities_ = find_capabilities(config);
  decide_policies(config);
  PASSTHRU_TRY(place_msix_table());
  describe_bars();
  describe_rom();
  describe_header(config);
  for (const Capability& capability : capabilities_) describe_capability(config, capability);
  link_visible((config_u16(config, PCI_STATUS) & PCI_STATUS_CAP_LIST) != 0);
  link_visible_extended(config);
  return {};
}

void ConfigSpace::describe_header(Snapshot config) {
  for (const BarInfo& shape : shapes_) {
    if (shape.size != 0) forced_command_ |= shape.io ? PCI_COMMAND_IO : PCI_COMMAND_MEMORY;
  }
  // The guest's decode bits control the guest's view, ours control the device. A decode bit without
  // a BAR of its kind is hardwired.
  bits_.pass(PCI_COMMAND, 2,
             PCI_COMMAND_MASTER | PCI_COMMAND_INVALIDATE | PCI_COMMAND_PARITY | PCI_COMMAND_SERR |
                 PCI_COMMAND_INTX_DISABLE);
  bits_.emulate(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, 0, forced_command_);
  bits_.hold(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY, forced_command_);
  bits_.pass(PCI_STATUS, 2,
             PCI_STATUS_PARITY | PCI_STATUS_SIG_TARGET_ABORT | PCI_STATUS_REC_TARGET_ABORT |
                 PCI_STATUS_REC_MASTER_ABORT | PCI_STATUS_SIG_SYSTEM_ERROR |
                 PCI_STATUS_DETECTED_PARITY);
  bits_.pass(PCI_CACHE_LINE_SIZE, 2, UINT16_MAX);  // and the latency timer

  constexpr uint32_t kMultifunction = 0x80;
  const uint32_t type = config_u8(config, PCI_HEADER_TYPE) & ~kMultifunction;
  bits_.emulate(PCI_HEADER_TYPE, 1, UINT8_MAX,
                type | (options_.multifunction ? kMultifunction : 0));
  bits_.emulate(PCI_BIST, 1, UINT8_MAX, 0);  // a self test would reset the device unnoticed
  bits_.emulate(PCI_INTERRUPT_LINE, 1, UINT8_MAX, 0, UINT8_MAX);
  if (!options_.intx) bits_.emulate(PCI_INTERRUPT_PIN, 1, UINT8_MAX, 0);
}

void ConfigSpace::shape_bars(Snapshot config) {
  for (unsigned bar = 0; bar < kRomBar; ++bar) {
    const uint32_t reg = PCI_BASE_ADDRESS_0 + 4 * bar;
    const uint32_t physical = config_u32(config, reg);
    BarInfo shape;
    shape.io = (physical & PCI_BASE_ADDRESS_SPACE) == PCI_BASE_ADDRESS_SPACE_IO;
    shape.is_64bit = !shape.io && bar + 1 < kRomBar &&
                     (physical & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
    shape.prefetchable = !shape.io && (physical & PCI_BASE_ADDRESS_MEM_PREFETCH) != 0;
    const uint64_t region = source_.region_sizes[bar];
    if (region == 0 || region > (shape.is_64bit ? kMaxBar : kLargest32BitBar)) continue;
    // Sizing can only express powers of two.
    shape.size = std::bit_ceil(std::max(region, shape.io ? kMinIoBar : kMinMemoryBar));
    shapes_[bar] = shape;
    if (shape.is_64bit) ++bar;
  }
}

void ConfigSpace::describe_bars() {
  for (unsigned bar = 0; bar < kRomBar; ++bar) {
    const uint32_t reg = PCI_BASE_ADDRESS_0 + 4 * bar;
    const BarInfo& shape = shapes_[bar];
    if (shape.size == 0) {
      bits_.emulate(reg, 4, UINT32_MAX, 0);
      continue;
    }
    uint32_t type = shape.io ? PCI_BASE_ADDRESS_SPACE_IO : 0;
    if (shape.is_64bit) type |= PCI_BASE_ADDRESS_MEM_TYPE_64;
    if (shape.prefetchable) type |= PCI_BASE_ADDRESS_MEM_PREFETCH;
    bits_.emulate(reg, 4, UINT32_MAX, type, low(~(shape.size - 1)));
    if (shape.is_64bit) {
      bits_.emulate(reg + 4, 4, UINT32_MAX, 0, high(~(shape.size - 1)));
      ++bar;
    }
  }
}

Result<void> ConfigSpace::place_msix_table() {
  if (!msix_) {
    if (options_.msix.kind != MsixChoice::Kind::Bar) return {};
    return fail(EINVAL, "put the MSI-X table into another BAR", "the device has no MSI-X table");
  }
  msix_placement_ = PASSTHRU_TRY(
      place_msix(shapes_, *msix_, source_.page_size, options_.msix, source_.msix_vectors));
  shapes_ = msix_placement_.shapes;
  return {};
}

void ConfigSpace::describe_rom() {
  const uint64_t region =
      options_.rom_size != 0 ? options_.rom_size : source_.region_sizes[kRomBar];
  const bool present = options_.rom && region != 0 && region <= kLargest32BitBar;
  if (!present) {
    bits_.emulate(PCI_ROM_ADDRESS, 4, UINT32_MAX, 0);
    return;
  }
  shapes_[kRomBar].size = std::bit_ceil(std::max(region, kMinRom));
  bits_.emulate(PCI_ROM_ADDRESS, 4, UINT32_MAX, 0,
                low(~(shapes_[kRomBar].size - 1)) | PCI_ROM_ADDRESS_ENABLE);
}

/// Hides capabilities for reasons that the policy table cannot know: the options, and layouts that
/// cannot be trusted.
void ConfigSpace::decide_policies(Snapshot config) {
  std::array<bool, 256> seen{};
  for (Capability& capability : capabilities_) {
    if (capability.extended || capability.policy != CapabilityPolicy::Virtualise) continue;
    const bool first = !std::exchange(seen[capability.id], true);
    if (!first) {
      hide(capability, "it is a duplicate: a function has at most one");
    } else if (capability.cut) {
      hide(capability, "it overlaps the next capability or ends beyond config space");
    } else if (capability.id == PCI_CAP_ID_MSI && (!options_.msi || source_.msi_vectors == 0)) {
      hide(capability, "MSI is not available for this device");
    } else if (capability.id == PCI_CAP_ID_AF && !options_.resets) {
      hide(capability, "the device is never reset");
    } else if (capability.id == PCI_CAP_ID_MSIX && !accept_msix(config)) {
      hide(capability,
           "its table is not within a memory BAR or overlaps the pending bits, or these have no "
           "room");
    }
  }
}

/// Returns whether the MSI-X capability is sound. If so, sets `msix_`.
bool ConfigSpace::accept_msix(Snapshot config) {
  const auto found = find_msix(config);
  if (!found || source_.msix_vectors == 0) return false;
  msix_ = usable_msix(shapes_, source_.region_sizes, *found, source_.page_size);
  return msix_.has_value();
}

void ConfigSpace::describe_capability(Snapshot config, const Capability& capability) {
  const uint32_t offset = capability.offset;
  if (capability.policy == CapabilityPolicy::Hide) {
    for (uint32_t i = 0; i < capability.size; ++i) bits_.emulate(offset + i, 1, UINT8_MAX, 0);
  }
  if (capability.policy != CapabilityPolicy::Virtualise) return;
  switch (capability.id) {
    case PCI_CAP_ID_PM:
      describe_pm(config, offset);
      break;
    case PCI_CAP_ID_MSI:
      describe_msi(config, offset);
      break;
    case PCI_CAP_ID_MSIX:
      describe_msix(offset);
      break;
    case PCI_CAP_ID_EXP:
      describe_express(config, capability);
      break;
    case PCI_CAP_ID_AF:
      bits_.emulate(offset + PCI_AF_CTRL, 1, UINT8_MAX, 0);
      if ((config_u8(config, offset + PCI_AF_CAP) & PCI_AF_CAP_FLR) != 0) {
        reset_bits_[1] = {offset + PCI_AF_CTRL, PCI_AF_CTRL_FLR, GuestReset::AdvancedFeatures};
      }
      break;
    default:
      break;
  }
}

void ConfigSpace::describe_express(Snapshot config, const Capability& capability) {
  const uint32_t offset = capability.offset;
  // Initiate Function Level Reset reads 0 (PCIe 3.0, 7.8.4). The guest's write never reaches the
  // device.
  bits_.emulate(offset + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR, 0);
  if (!options_.resets) {
    bits_.emulate(offset + PCI_EXP_DEVCAP, 4, PCI_EXP_DEVCAP_FLR, 0);
  } else if ((config_u32(config, offset + PCI_EXP_DEVCAP) & PCI_EXP_DEVCAP_FLR) != 0) {
    reset_bits_[0] = {offset + PCI_EXP_DEVCTL + 1, PCI_EXP_DEVCTL_BCR_FLR >> 8,
                      GuestReset::FunctionLevel};
  }
  // Version 1 of the capability ends before Device Capabilities 2.
  const uint16_t version = config_u16(config, offset + PCI_EXP_FLAGS) & PCI_EXP_FLAGS_VERS;
  if (options_.on_root_bus && version >= 2) hide_port_features(config, offset);
}

/// A guest that finds no port above the function takes the root for able, and turns the feature on
/// in the device: Linux does so for AtomicOps. The host's ports need not route them.
void ConfigSpace::hide_port_features(Snapshot config, uint32_t offset) {
  constexpr uint32_t k10BitTagCompleter = 1U << 16, k10BitTagRequester = 1U << 17;  // PCIe 4.0
  constexpr uint32_t k10BitTagEnable = 1U << 12;
  constexpr uint32_t kHosts =
      PCI_EXP_DEVCTL2_LTR_EN | PCI_EXP_DEVCTL2_OBFF_WAKE_EN | k10BitTagEnable;
  bits_.emulate(offset + PCI_EXP_DEVCAP2, 4,
                PCI_EXP_DEVCAP2_ATOMIC_ROUTE | PCI_EXP_DEVCAP2_ATOMIC_COMP32 |
                    PCI_EXP_DEVCAP2_ATOMIC_COMP64 | PCI_EXP_DEVCAP2_ATOMIC_COMP128 |
                    PCI_EXP_DEVCAP2_LTR | PCI_EXP_DEVCAP2_OBFF_MASK | k10BitTagCompleter |
                    k10BitTagRequester,
                0);
  bits_.emulate(offset + PCI_EXP_DEVCTL2, 2,
                PCI_EXP_DEVCTL2_ATOMIC_REQ | PCI_EXP_DEVCTL2_ATOMIC_EGRESS_BLOCK | kHosts, 0);
  // The host's settings stay when the guest writes their neighbours.
  bits_.hold(offset + PCI_EXP_DEVCTL2, 2, kHosts, config_u16(config, offset + PCI_EXP_DEVCTL2));
}

void ConfigSpace::describe_pm(Snapshot config, uint32_t offset) {
  pm_ = offset;
  const uint16_t supported = config_u16(config, offset + PCI_PM_PMC);
  if ((supported & PCI_PM_CAP_D1) != 0) d_states_ |= 1U << 1;
  if ((supported & PCI_PM_CAP_D2) != 0) d_states_ |= 1U << 2;
  loses_state_in_d3_ = options_.resets &&
                       (config_u16(config, offset + PCI_PM_CTRL) & PCI_PM_CTRL_NO_SOFT_RESET) == 0;
  // The device itself stays in D0, so it keeps its state.
  if (!options_.resets) {
    bits_.emulate(offset + PCI_PM_CTRL, 2, PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_NO_SOFT_RESET);
  }
  bits_.emulate(offset + PCI_PM_CTRL, 2, PCI_PM_CTRL_STATE_MASK, 0, PCI_PM_CTRL_STATE_MASK);
}

/// Returns Multiple Message Capable: log2 of the vectors that device and host have.
uint32_t ConfigSpace::multiple_messages(uint16_t control) const {
  const auto available = static_cast<uint32_t>(std::bit_width(source_.msi_vectors)) - 1;
  return std::min<uint32_t>(control & PCI_MSI_FLAGS_QMASK, available << 1);
}

void ConfigSpace::describe_msi(Snapshot config, uint32_t offset) {
  msi_ = offset;
  const uint16_t control = config_u16(config, offset + PCI_MSI_FLAGS);
  msi_64bit_ = (control & PCI_MSI_FLAGS_64BIT) != 0;
  msi_maskable_ = (control & PCI_MSI_FLAGS_MASKBIT) != 0;
  constexpr uint32_t kWritable = PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE;
  const uint32_t fixed = control & ~(kWritable | PCI_MSI_FLAGS_QMASK);
  bits_.emulate(offset + PCI_MSI_FLAGS, 2, UINT16_MAX, fixed | multiple_messages(control),
                kWritable);
  bits_.emulate(offset + PCI_MSI_ADDRESS_LO, 4, UINT32_MAX, 0, ~uint32_t{3});
  if (msi_64bit_) bits_.emulate(offset + PCI_MSI_ADDRESS_HI, 4, UINT32_MAX, 0, UINT32_MAX);
  bits_.emulate(offset + (msi_64bit_ ? PCI_MSI_DATA_64 : PCI_MSI_DATA_32), 2, UINT16_MAX, 0,
                UINT16_MAX);
  if (msi_maskable_) {
    bits_.emulate(offset + (msi_64bit_ ? PCI_MSI_MASK_64 : PCI_MSI_MASK_32), 4, UINT32_MAX, 0,
                  UINT32_MAX);
    // The device's own pending bits belong to the host's messages.
    bits_.emulate(msi_pending_offset(), 4, UINT32_MAX, 0);
  }
}

void ConfigSpace::describe_msix(uint32_t offset) {
  const MsixLayout& msix = msix_placement_.layout;
  bits_.emulate(offset + PCI_MSIX_FLAGS, 2, UINT16_MAX, msix.vectors - 1,
                PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  bits_.emulate(offset + PCI_MSIX_TABLE, 4, UINT32_MAX, low(msix.table_offset) | msix.table_bar);
  bits_.emulate(offset + PCI_MSIX_PBA, 4, UINT32_MAX, low(msix.pba_offset) | msix.pba_bar);
}

/// Links each capability that the guest sees to the next visible capability.
void ConfigSpace::link_visible(bool has_list) {
  uint32_t pointer = PCI_CAPABILITY_LIST;
  bits_.emulate(pointer, 1, UINT8_MAX, 0);
  for (const Capability& capability : capabilities_) {
    if (capability.extended || capability.policy == CapabilityPolicy::Hide) continue;
    bits_.emulate(pointer, 1, UINT8_MAX, capability.offset);
    bits_.emulate(capability.offset, 2, UINT16_MAX, capability.id);
    pointer = capability.offset + uint32_t{PCI_CAP_LIST_NEXT};
  }
  if (has_list && pointer == PCI_CAPABILITY_LIST)
    bits_.emulate(PCI_STATUS, 2, PCI_STATUS_CAP_LIST, 0);
}

/// Does the same for the extended list. Its head has a fixed place: if it is hidden, it is a
/// capability with id 0.
void ConfigSpace::link_visible_extended(Snapshot config) {
  constexpr uint32_t kHead = 256;
  constexpr unsigned kNextShift = 20;
  constexpr uint32_t kNext = 0xfffU << kNextShift;
  uint32_t pointer = kHead;
  for (const Capability& capability : capabilities_) {
    if (!capability.extended || capability.policy == CapabilityPolicy::Hide) continue;
    if (capability.offset != kHead) {
      bits_.emulate(pointer, 4, kNext, uint32_t{capability.offset} << kNextShift);
    }
    bits_.emulate(capability.offset, 4, UINT32_MAX, config_u32(config, capability.offset) & ~kNext);
    pointer = capability.offset;
  }
}

}  // namespace passthru
