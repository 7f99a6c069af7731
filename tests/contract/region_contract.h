// SPDX-License-Identifier: MIT
// Contract tests: a device's regions, config space and reset.
#pragma once

#include "tests/contract/kernel_contract.h"
#include "vfio/mmio_read.h"

namespace passthru {

/// Returns whether a load from the mapping succeeds without a fault.
inline bool loads(const Mapped& mapped) {
  std::array<uint32_t, 1> word{};
  return try_read_mmio(mapped.address, word);
}

TEST_P(KernelContract, ADeviceSaysWhatItHas) {
  open_device();
  const auto info = kernel().device_info(device());
  ASSERT_TRUE(info);
  EXPECT_TRUE(info->is_pci);
  EXPECT_GE(info->region_count, 9U);
  EXPECT_GE(info->irq_count, 5U);
  EXPECT_TRUE(config_.size == 256 || config_.size == 4096) << config_.size;
  EXPECT_TRUE(config_.readable && config_.writable && !config_.mappable);
  EXPECT_ERRNO(EINVAL, kernel().region_info(device(), Region::Vga));
  EXPECT_NE(read16(PCI_VENDOR_ID), 0xffff);
}

TEST_P(KernelContract, EveryBarCanBeReadAndMappedAsItSays) {
  open_device();
  for (uint32_t index = 0; index < 6; ++index) {
    const RegionInfo info = region(static_cast<Region>(index));
    SCOPED_TRACE(index);
    if (info.size == 0) {
      EXPECT_FALSE(info.readable || info.writable || info.mappable);
      continue;
    }
    EXPECT_TRUE(info.readable && info.writable);
    const bool io = (read32(PCI_BASE_ADDRESS_0 + 4 * index) & PCI_BASE_ADDRESS_SPACE_IO) != 0;
    EXPECT_TRUE(!io || !info.mappable);
    auto mapped = kernel().map_region(device(), info.fd_offset, 4096, true);
    EXPECT_EQ(bool{mapped}, info.mappable);
    if (mapped) kernel().unmap_region(*mapped);
    const uint64_t end = (info.size + 4095) & ~uint64_t{4095};
    EXPECT_ERRNO(EINVAL, kernel().map_region(device(), info.fd_offset + end, 4096, true));
    EXPECT_ERRNO(EINVAL, kernel().map_region(device(), info.fd_offset, end + 4096, true));
  }
}

TEST_P(KernelContract, NothingIsReadBeyondARegion) {
  open_device();
  std::array<std::byte, 8> bytes{};
  for (uint32_t index = 0; index < 6; ++index) {
    const RegionInfo info = region(static_cast<Region>(index));
    if (info.size == 0) continue;
    EXPECT_ERRNO(EINVAL, kernel().read_region(device(), info.fd_offset + info.size, bytes));
    EXPECT_ERRNO(EIO, kernel().read_region(device(), info.fd_offset + info.size - 4, bytes));
    EXPECT_ERRNO(EINVAL, kernel().write_region(device(), info.fd_offset + info.size, bytes));
  }
  EXPECT_FALSE(kernel().read_region(device(), config_.fd_offset + config_.size, bytes));
  EXPECT_FALSE(kernel().read_region(device(), config_.fd_offset + config_.size - 4, bytes));
}

TEST_P(KernelContract, ABarIsSizedByWritingOnesAndKeepsItsAddress) {
  open_device();
  for (uint32_t index = 0; index < 6; ++index) {
    const uint64_t at = PCI_BASE_ADDRESS_0 + 4 * index;
    const RegionInfo info = region(static_cast<Region>(index));
    const uint32_t before = read32(at);
    if (info.size == 0) continue;
    write_config(at, ~0U);
    const uint32_t flags = (before & PCI_BASE_ADDRESS_SPACE_IO) != 0 ? 3 : 15;
    EXPECT_EQ(read32(at), (~static_cast<uint32_t>(info.size - 1) & ~flags) | (before & flags));
    write_config(at, before);
    EXPECT_EQ(read32(at), before);
  }
}

TEST_P(KernelContract, MemoryIsOutOfReachWhileDecodeIsOff) {
  open_device();
  const RegionInfo info = region(Region::Bar0);
  if (info.size == 0 || (read32(PCI_BASE_ADDRESS_0) & PCI_BASE_ADDRESS_SPACE_IO) != 0) {
    GTEST_SKIP() << "BAR 0 is not a memory BAR";
  }
  std::array<std::byte, 4> bytes{};
  ASSERT_DONE(kernel().read_region(device(), info.fd_offset, bytes));
  const uint16_t command = read16(PCI_COMMAND);
  EXPECT_NE(command & PCI_COMMAND_MEMORY, 0) << "decode is on after open";
  EXPECT_EQ(command & PCI_COMMAND_MASTER, 0) << "bus mastering is off after open";
  Mapped mapped;
  if (info.mappable) {
    mapped = kernel().map_region(device(), info.fd_offset, 4096, true).value();
    ASSERT_TRUE(loads(mapped));
  }
  write_config(PCI_COMMAND, static_cast<uint16_t>(command & ~PCI_COMMAND_MEMORY));
  if (info.mappable) {
    EXPECT_EQ(loads(mapped), target_.virtual_function) << "the load must raise SIGBUS";
  }
  if (target_.virtual_function) {
    // A virtual function has no such COMMAND bit (SR-IOV 1.1, 3.4.1.3): the kernel only emulates
    // it.
    ASSERT_DONE(kernel().read_region(device(), info.fd_offset, bytes));
    if (info.mappable) kernel().unmap_region(mapped);
    return;
  }
  EXPECT_ERRNO(EIO, kernel().read_region(device(), info.fd_offset, bytes));
  EXPECT_ERRNO(EIO, kernel().write_region(device(), info.fd_offset, bytes));
  write_config(PCI_COMMAND, command);
  ASSERT_DONE(kernel().read_region(device(), info.fd_offset, bytes));
  if (!info.mappable) return;
  EXPECT_TRUE(loads(mapped));
  kernel().unmap_region(mapped);
}

TEST_P(KernelContract, IdsAndMsixControlCannotBeWritten) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const uint32_t ids = read32(PCI_VENDOR_ID);
  write_config(PCI_VENDOR_ID, ~ids);
  EXPECT_EQ(read32(PCI_VENDOR_ID), ids);
  const uint16_t control = read16(*msix_ + PCI_MSIX_FLAGS);
  write_config(*msix_ + PCI_MSIX_FLAGS,
               static_cast<uint16_t>(control ^ (PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL)));
  EXPECT_EQ(read16(*msix_ + PCI_MSIX_FLAGS), control);
}

TEST_P(KernelContract, TheMsixTableReadsAllOnesAndDropsWrites) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  const uint64_t table = region(table_bar_).fd_offset + table_offset_;
  const PhysicalEntry before = entry(0);
  for (const uint64_t offset : {uint64_t{0}, uint64_t{16} * vectors_ - 4}) {
    uint32_t word = 0;
    ASSERT_DONE(kernel().read_region(device(), table + offset,
                                     std::as_writable_bytes(std::span(&word, 1))));
    EXPECT_EQ(word, ~0U);
  }
  const uint32_t word = 0x12345678;
  ASSERT_DONE(kernel().write_region(device(), table, std::as_bytes(std::span(&word, 1))));
  EXPECT_EQ(entry(0), before);
}

TEST_P(KernelContract, AResetKeepsWhatTheKernelHasSetUp) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  if (!kernel().device_info(device())->resettable) {
    EXPECT_ERRNO(EINVAL, kernel().reset_device(device()));
    return;
  }
  const auto eventfds = make_eventfds(1);
  ASSERT_DONE(bind(1, {eventfds[0].get()}));
  const PhysicalEntry before = entry(1);
  const PhysicalEntry without_handler = entry(0);
  const uint16_t command = read16(PCI_COMMAND);
  ASSERT_DONE(kernel().reset_device(device()));
  EXPECT_EQ(entry(1), before);
  EXPECT_EQ(entry(0), without_handler);
  EXPECT_TRUE(msix_enabled());
  EXPECT_EQ(read16(PCI_COMMAND), command);
}

TEST_P(KernelContract, AFunctionLevelResetByConfigWriteKeepsWhatTheKernelHasSetUp) {
  open_msix_device();
  if (IsSkipped() || HasFatalFailure()) return;
  if (!express_) return;
  const auto eventfds = make_eventfds(1);
  ASSERT_DONE(bind(0, {eventfds[0].get()}));
  const PhysicalEntry before = entry(0);
  const uint16_t control = read16(*express_ + PCI_EXP_DEVCTL);
  write_config(*express_ + PCI_EXP_DEVCTL, static_cast<uint16_t>(control | PCI_EXP_DEVCTL_BCR_FLR));
  EXPECT_EQ(read16(*express_ + PCI_EXP_DEVCTL) & PCI_EXP_DEVCTL_BCR_FLR, 0);
  EXPECT_EQ(entry(0), before);
  EXPECT_TRUE(msix_enabled());
}

}  // namespace passthru
