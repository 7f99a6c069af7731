// SPDX-License-Identifier: MIT
// AssignedDrive sets the drive up in a guest's order: BAR, bus master, MSI-X, then the queues. A
// drive uses the vectors only of queues that were created while MSI-X was enabled.
#include "tests/hil/storm/assigned_drive.h"

#include <fmt/format.h>
#include <linux/pci_regs.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "irq/msix_table.h"
#include "tests/hil/tested_backend.h"

namespace passthru {
namespace {

constexpr uint64_t kBar = 0xc000'0000;  // the guest's address of BAR 0
constexpr uint64_t kMessageAddress = 0xfee0'0000;
constexpr uint32_t kFirstData = 0x40;  // of vector 0; data below 0x10 is not an interrupt vector

}  // namespace

Result<std::unique_ptr<AssignedDrive>> AssignedDrive::open(Bdf bdf, unsigned queues) {
  auto host = PASSTHRU_TRY(PolledHost::create());
  // The first page is unused: with a zeroed entry the drive writes to address 0.
  const size_t size = NvmeDriver::kPage + NvmeDriver::dma_size(queues);
  Memory memory(static_cast<std::byte*>(std::aligned_alloc(NvmeDriver::kPage, size)), &std::free);
  if (!memory) return fail(ENOMEM, "allocate the drive's memory");
  std::memset(memory.get(), 0, size);
  std::unique_ptr<AssignedDrive> drive(new AssignedDrive(std::move(host), std::move(memory), size));
  PASSTHRU_TRY(drive->assign(bdf));
  PASSTHRU_TRY(drive->enable_vectors());
  drive->queues_ = PASSTHRU_TRY(drive->driver_->make_queues(queues));
  return drive;
}

AssignedDrive::AssignedDrive(std::unique_ptr<PolledHost> host, Memory memory, size_t size)
    : host_(std::move(host)),
      memory_(std::move(memory)),
      size_(size),
      domain_(std::make_shared<LinuxKernel>(), *host_) {}

Result<void> AssignedDrive::assign(Bdf bdf) {
  const std::span<std::byte> memory(memory_.get(), size_);
  PASSTHRU_TRY(domain_.add_memory(0, memory));
  device_ = PASSTHRU_TRY(AssignedDevice::open(
      domain_, {.device = bdf, .guest_address = {.device = 1}}, {.backend = tested_backend()}));
  device_->config_write(PCI_BASE_ADDRESS_0, 4, kBar);
  device_->config_write(PCI_BASE_ADDRESS_1, 4, 0);
  device_->config_write(PCI_COMMAND, 2, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
  std::byte* const registers = host_->memory(kBar, NvmeDriver::kRegisters);
  if (registers == nullptr) {
    return fail(ENOTSUP, "use the drive", "its registers and doorbells are not mapped");
  }
  driver_ = PASSTHRU_TRY(NvmeDriver::start(
      registers, {.memory = memory.subspan(NvmeDriver::kPage), .address = NvmeDriver::kPage}));
  return {};
}

Result<void> AssignedDrive::enable_vectors() {
  std::array<std::byte, 256> config{};
  for (uint32_t at = 0; at < config.size(); at += 4) {
    const uint32_t value = device_->config_read(at, 4);
    std::memcpy(&config[at], &value, sizeof value);
  }
  const auto layout = find_msix(config);
  if (!layout || layout->table_bar != 0) {
    return fail(ENOTSUP, "use the drive", "its MSI-X table is missing or not in BAR 0");
  }
  for (unsigned vector = 1; vector < layout->vectors; ++vector) write_entry(*layout, vector);
  device_->config_write(layout->capability + PCI_MSIX_FLAGS, 2, PCI_MSIX_FLAGS_ENABLE);
  return {};
}

void AssignedDrive::write_entry(const MsixLayout& layout, unsigned vector) {
  const std::array<uint32_t, 4> entry = {static_cast<uint32_t>(kMessageAddress), 0,
                                         kFirstData + vector, 0};
  for (size_t word = 0; word < entry.size(); ++word) {
    domain_.mmio().write(kBar + layout.table_offset + vector * MsixEntry::kSize + word * 4,
                         std::as_bytes(std::span(&entry[word], 1)));
  }
}

std::vector<unsigned> AssignedDrive::take(std::chrono::milliseconds most) {
  std::vector<unsigned> vectors = host_->take(most);
  for (unsigned& vector : vectors) vector -= kFirstData;
  return vectors;
}

}  // namespace passthru
