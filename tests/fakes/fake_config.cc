// SPDX-License-Identifier: MIT
// The bits of config space that a user of VFIO may write, and the values that reads return. A table
// of bits models drivers/vfio/pci/vfio_pci_config.c.
#include "tests/fakes/fake_config.h"

#include <linux/pci_regs.h>

#include <bit>

namespace passthru {
namespace {

constexpr size_t kPmcsr = FakeCapability::kPowerManagement + PCI_PM_CTRL;
constexpr size_t kDeviceControl = FakeCapability::kExpress + PCI_EXP_DEVCTL;
constexpr size_t kMsixControl = FakeCapability::kMsix + PCI_MSIX_FLAGS;

bool covers(uint64_t offset, size_t size, size_t byte) {
  return byte >= offset && byte - offset < size;
}

}  // namespace

FakeConfig::FakeConfig(const FakeSpec& spec)
    : bytes_(spec.express ? 4096 : 256),
      writable_(bytes_.size()),
      answered_(bytes_.size()),
      virtual_function_(spec.virtual_function) {
  put_header(spec);
  put_bars(spec);
  put_capabilities(spec);
  answer_itself(spec);
  program_command();
}

void FakeConfig::put(size_t offset, unsigned width, uint64_t value, uint64_t writable) {
  for (unsigned byte = 0; byte < width; ++byte) {
    bytes_[offset + byte] = static_cast<uint8_t>(value >> (8 * byte));
    writable_[offset + byte] = static_cast<uint8_t>(writable >> (8 * byte));
  }
}

void FakeConfig::answer(size_t offset, unsigned width, uint64_t bits) {
  for (unsigned byte = 0; byte < width; ++byte) {
    answered_[offset + byte] = static_cast<uint8_t>(bits >> (8 * byte));
  }
}

/// As init_pci_cap_basic_perm() and the other capabilities' functions. The kernel owns all links.
void FakeConfig::answer_itself(const FakeSpec& spec) {
  answer(PCI_VENDOR_ID, 4, UINT32_MAX);
  answer(PCI_COMMAND, 2, PCI_COMMAND_INTX_DISABLE);
  answer(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
  for (unsigned bar = 0; bar < 6; ++bar) answer(PCI_BASE_ADDRESS_0 + 4 * bar, 4, UINT32_MAX);
  answer(PCI_ROM_ADDRESS, 4, UINT32_MAX);
  answer(PCI_CAPABILITY_LIST, 1, UINT8_MAX);
  answer(PCI_INTERRUPT_LINE, 2, UINT16_MAX);  // and the pin
  if (spec.power_management) {
    answer(FakeCapability::kPowerManagement + PCI_CAP_LIST_NEXT, 1, UINT8_MAX);
    answer(FakeCapability::kPowerManagement + PCI_PM_PMC, 2, PCI_PM_CAP_PME_MASK);
    answer(kPmcsr, 2, PCI_PM_CTRL_PME_ENABLE | PCI_PM_CTRL_PME_STATUS);
  }
  if (spec.msi_vectors != 0) {
    answer(FakeCapability::kMsi + PCI_CAP_LIST_NEXT, 1, UINT8_MAX);
    answer(FakeCapability::kMsi + PCI_MSI_FLAGS, 1, UINT8_MAX);
    answer(FakeCapability::kMsi + PCI_MSI_ADDRESS_LO, 8, UINT64_MAX);
    answer(FakeCapability::kMsi + PCI_MSI_DATA_64, 2, UINT16_MAX);
  }
  if (spec.express) {
    answer(FakeCapability::kExpress + PCI_CAP_LIST_NEXT, 1, UINT8_MAX);
    answer(kDeviceControl, 2,
           PCI_EXP_DEVCTL_BCR_FLR | PCI_EXP_DEVCTL_PAYLOAD | PCI_EXP_DEVCTL_READRQ);
    answer(PCI_CFG_SPACE_SIZE, 4, UINT32_MAX);
  }
  if (has_msix_) answer(FakeCapability::kMsix + PCI_CAP_LIST_NEXT, 1, UINT8_MAX);
}

void FakeConfig::program_command() {
  command_ = word(PCI_COMMAND);
  // A virtual function's decode bits are hardwired (Single Root I/O Virtualization 1.1, 3.4.1.3).
  if (virtual_function_) command_ &= ~(PCI_COMMAND_IO | PCI_COMMAND_MEMORY);
}

uint16_t FakeConfig::word(size_t offset) const {
  return static_cast<uint16_t>(bytes_[offset] | bytes_[offset + 1] << 8);
}

void FakeConfig::put_header(const FakeSpec& spec) {
  put(PCI_VENDOR_ID, 2, spec.vendor);
  put(PCI_DEVICE_ID, 2, spec.device);
  // VFIO enables the device when it opens it: both decodes on, bus mastering off.
  put(PCI_COMMAND, 2, PCI_COMMAND_IO | PCI_COMMAND_MEMORY | PCI_COMMAND_SERR, 0x0547);
  put(PCI_CLASS_REVISION, 4, spec.class_code << 8 | 2);
  put(PCI_CACHE_LINE_SIZE, 1, 0, 0xff);
  put(PCI_SUBSYSTEM_VENDOR_ID, 4, 0x11001af4);
  put(PCI_INTERRUPT_LINE, 1, 11, 0xff);
  put(PCI_INTERRUPT_PIN, 1, spec.intx ? 1 : 0);
}

void FakeConfig::put_bars(const FakeSpec& spec) {
  uint64_t memory = 0xe0000000;
  uint64_t port = 0xc000;
  for (size_t index = 0; index < spec.bars.size(); ++index) {
    const FakeBar& bar = spec.bars[index];
    if (bar.size == 0) continue;
    uint64_t& next = bar.io ? port : memory;
    next = (next + bar.size - 1) & ~(bar.size - 1);
    uint64_t flags = bar.io ? PCI_BASE_ADDRESS_SPACE_IO : 0;
    if (bar.is_64bit) flags |= PCI_BASE_ADDRESS_MEM_TYPE_64;
    if (bar.prefetchable) flags |= PCI_BASE_ADDRESS_MEM_PREFETCH;
    // Sizing works because the bits below the size are read-only.
    put(PCI_BASE_ADDRESS_0 + 4 * index, bar.is_64bit ? 8 : 4, next | flags,
        ~(bar.size - 1) & ~(bar.io ? 3ULL : 15ULL));
    next += bar.size;
  }
  if (!spec.rom.empty()) {
    const uint64_t size = std::bit_ceil(std::max<uint64_t>(spec.rom.size(), 2048));
    memory = (memory + size - 1) & ~(size - 1);
    put(PCI_ROM_ADDRESS, 4, memory, (~(size - 1) & PCI_ROM_ADDRESS_MASK) | PCI_ROM_ADDRESS_ENABLE);
  }
}

void FakeConfig::put_capabilities(const FakeSpec& spec) {
  size_t link = PCI_CAPABILITY_LIST;
  auto add = [&](size_t at, uint8_t id) {
    put(PCI_STATUS, 2, PCI_STATUS_CAP_LIST);
    put(link, 1, at);
    put(at, 2, id);
    link = at + PCI_CAP_LIST_NEXT;
  };
  if (spec.power_management) {
    add(FakeCapability::kPowerManagement, PCI_CAP_ID_PM);
    put(FakeCapability::kPowerManagement + PCI_PM_PMC, 2, 3);
    put(kPmcsr, 2, PCI_PM_CTRL_NO_SOFT_RESET, PCI_PM_CTRL_STATE_MASK);
  }
  if (spec.msi_vectors != 0) {
    add(FakeCapability::kMsi, PCI_CAP_ID_MSI);
    const auto capable = static_cast<unsigned>(std::bit_width(spec.msi_vectors) - 1);
    const uint16_t maskable = spec.msi_maskable ? PCI_MSI_FLAGS_MASKBIT : 0;
    put(FakeCapability::kMsi + PCI_MSI_FLAGS, 2, PCI_MSI_FLAGS_64BIT | maskable | capable << 1,
        PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE);
    put(FakeCapability::kMsi + PCI_MSI_ADDRESS_LO, 8, 0, ~3ULL);
    put(FakeCapability::kMsi + PCI_MSI_DATA_64, 2, 0, 0xffff);
    if (spec.msi_maskable) put(FakeCapability::kMsi + PCI_MSI_MASK_64, 4, 0, 0xffffffff);
  }
  if (spec.express) {
    has_express_ = true;
    add(FakeCapability::kExpress, PCI_CAP_ID_EXP);
    put(FakeCapability::kExpress + PCI_EXP_FLAGS, 2, 2);
    put(FakeCapability::kExpress + PCI_EXP_DEVCAP, 4, spec.resets ? PCI_EXP_DEVCAP_FLR : 0);
    put(kDeviceControl, 2, 0, 0x7fff | (spec.resets ? PCI_EXP_DEVCTL_BCR_FLR : 0));
    put(PCI_CFG_SPACE_SIZE, 4, 0x00010001);  // Advanced Error Reporting, the last one
  }
  if (spec.msix.vectors != 0) {
    has_msix_ = true;
    add(FakeCapability::kMsix, PCI_CAP_ID_MSIX);
    msix_control_ = static_cast<uint16_t>(spec.msix.vectors - 1);
    put(FakeCapability::kMsix + PCI_MSIX_TABLE, 4, spec.msix.table_offset | spec.msix.table_bar);
    put(FakeCapability::kMsix + PCI_MSIX_PBA, 4, spec.msix.pba_offset | spec.msix.pba_bar);
  }
}

void FakeConfig::read(uint64_t offset, std::span<std::byte> data) const {
  auto overlay = [&](size_t at, uint16_t value) {
    for (size_t byte = 0; byte < 2; ++byte) {
      if (covers(offset, data.size(), at + byte)) {
        data[at + byte - offset] = static_cast<std::byte>(value >> (8 * byte));
      }
    }
  };
  for (size_t i = 0; i < data.size(); ++i) data[i] = std::byte{bytes_[offset + i]};
  // For a virtual function, memory decode exists only in VFIO's copy of COMMAND.
  const int remembered = virtual_function_ ? word(PCI_COMMAND) & PCI_COMMAND_MEMORY : 0;
  overlay(PCI_COMMAND, static_cast<uint16_t>(command_ | remembered));
  if (has_msix_) overlay(kMsixControl, msix_control_);
}

void FakeConfig::read_gone(uint64_t offset, std::span<std::byte> data) const {
  read(offset, data);
  for (size_t i = 0; i < data.size(); ++i) {
    // vfio_direct_config_read(): for a capability without a table of its own, the kernel also
    // answers for the id, unless the read covers the id alone.
    const bool known = has_msix_ && offset == FakeCapability::kMsix && i == 0 && data.size() > 1;
    if (!known) data[i] |= ~std::byte{answered_[offset + i]};
  }
}

void FakeConfig::write_gone(uint64_t offset, std::span<const std::byte> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    const uint64_t at = offset + i;
    // The kernel remembers every value that it tried to write to COMMAND.
    const uint8_t kept = at == PCI_COMMAND ? uint8_t{0xff} : answered_[at];
    const auto mask = static_cast<uint8_t>(writable_[at] & kept);
    bytes_[at] =
        static_cast<uint8_t>((bytes_[at] & ~mask) | (static_cast<uint8_t>(data[i]) & mask));
  }
}

FakeConfig::Written FakeConfig::write(uint64_t offset, std::span<const std::byte> data) {
  for (size_t i = 0; i < data.size(); ++i) {
    const uint8_t mask = writable_[offset + i];
    uint8_t& byte = bytes_[offset + i];
    byte = static_cast<uint8_t>((byte & ~mask) | (static_cast<uint8_t>(data[i]) & mask));
  }
  Written written;
  if (covers(offset, data.size(), PCI_COMMAND) || covers(offset, data.size(), PCI_COMMAND + 1)) {
    program_command();
    written.command = (command_ & PCI_COMMAND_MEMORY) != 0;
  }
  if (has_express_ && (word(kDeviceControl) & PCI_EXP_DEVCTL_BCR_FLR) != 0) {
    bytes_[kDeviceControl + 1] &= 0x7f;  // reads as zero, always
    written.reset = true;
  }
  return written;
}

bool FakeConfig::memory_enabled() const {
  return (virtual_function_ || (word(PCI_COMMAND) & PCI_COMMAND_MEMORY) != 0) &&
         (word(kPmcsr) & PCI_PM_CTRL_STATE_MASK) < 3;
}

bool FakeConfig::decodes_memory() const {
  return virtual_function_ || (command_ & PCI_COMMAND_MEMORY) != 0;
}

void FakeConfig::record_errors(uint32_t status, uint32_t severity) {
  put(PCI_CFG_SPACE_SIZE + PCI_ERR_UNCOR_STATUS, 4, status);
  put(PCI_CFG_SPACE_SIZE + PCI_ERR_UNCOR_SEVER, 4, severity);
}

void FakeConfig::backdoor_reset() {
  command_ = 0;
  msix_control_ &= PCI_MSIX_FLAGS_QSIZE;
}

}  // namespace passthru
