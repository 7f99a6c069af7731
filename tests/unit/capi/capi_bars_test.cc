// SPDX-License-Identifier: MIT
// Tests of BARs through the C interface: placed by the library or by the VMM, hidden, accessed at
// any size.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tests/unit/capi/capi_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST_F(CapiDevice, ItsBarIsMappedTrappedAndForwarded) {
  create();
  passthru_device* device = open();
  EXPECT_THAT(vmm.trapped, IsEmpty());
  place(device);
  ASSERT_EQ(vmm.host.mappings().size(), 1U);
  EXPECT_EQ(vmm.host.mappings()[0].address, kCWindow);
  EXPECT_EQ(vmm.trapped.at({PASSTHRU_MMIO, kCWindow}), 0x4000U) << "the whole BAR is announced";
  uint32_t value = 0;
  EXPECT_EQ(passthru_domain_mmio_read(domain, kCWindow + kCTable + 12, &value, 4), 0);
  EXPECT_EQ(value, 1U) << "the virtual table is masked";
  EXPECT_EQ(passthru_domain_mmio_read(domain, 0x1000, &value, 4), -ENXIO);
  EXPECT_EQ(value, UINT32_MAX);
  EXPECT_EQ(passthru_device_close(device), 0);
  EXPECT_THAT(vmm.trapped, IsEmpty());
}

TEST_F(CapiDevice, BarsThatTheVmmPlacesAreMappedByNobodyElse) {
  create();
  passthru_device* device = open(PASSTHRU_BARS_BY_VMM);
  place(device);
  EXPECT_THAT(vmm.host.mappings(), IsEmpty());
  EXPECT_THAT(vmm.trapped, IsEmpty());
  EXPECT_EQ(vmm.placed.at(0), kCWindow);
  passthru_bar_info info{};
  info.size = sizeof info;
  ASSERT_EQ(passthru_device_bar_info(device, 0, &info), 0);
  EXPECT_EQ(info.bar_size, 0x4000U);
  EXPECT_EQ(info.guest_address, kCWindow);
  EXPECT_EQ(info.flags, uint32_t{PASSTHRU_BAR_DECODED | PASSTHRU_BAR_64BIT});

  passthru_span spans[8];
  size_t count = 8;
  ASSERT_EQ(passthru_device_bar_spans(device, 0, spans, &count), 0);
  ASSERT_EQ(count, 3U) << "registers, table, PBA";
  EXPECT_EQ(spans[0].offset, 0U);
  EXPECT_EQ(spans[0].size, 0x2000U);
  EXPECT_NE(spans[0].memory, nullptr);
  EXPECT_GE(spans[0].fd, 0);
  for (size_t trapped = 1; trapped < count; ++trapped) {
    EXPECT_EQ(spans[trapped].memory, nullptr);
    EXPECT_EQ(spans[trapped].fd, -1);
  }

  enable_msix(device);
  program(2, [&](uint32_t offset, uint32_t value) {
    EXPECT_EQ(passthru_device_bar_write(device, 0, offset, &value, 4), 0);
  });
  hardware.fire(2);
  EXPECT_THAT(vmm.host.delivered(), ElementsAre(message_of(2)));
  uint32_t data = 0;
  EXPECT_EQ(passthru_device_bar_read(device, 0, kCTable + 2 * 16 + 8, &data, 4), 0);
  EXPECT_EQ(data, 0x42U);

  EXPECT_EQ(passthru_device_config_write(device, 0x04, 2, 0x4), 0);
  EXPECT_THAT(vmm.placed, IsEmpty()) << "decode is off";
}

TEST_F(CapiDevice, APlaceThatTheVmmRefusesUndoesTheGuestsWrite) {
  create();
  passthru_device* device = open(PASSTHRU_BARS_BY_VMM);
  place(device);
  vmm.place_result = -ENOSPC;
  EXPECT_EQ(passthru_device_config_write(device, 0x10, 4, 0xd000'0000), 0);
  vmm.place_result = 0;
  uint32_t bar = 0;
  EXPECT_EQ(passthru_device_config_read(device, 0x10, 4, &bar), 0);
  EXPECT_EQ(bar & ~0xFU, kCWindow);
  EXPECT_EQ(vmm.placed.at(0), kCWindow);
}

// 1,000 moves in both ways. Each move is seen by the VMM, and the device answers at its new place.
class CapiMoves : public CapiDevice, public ::testing::WithParamInterface<bool> {};

TEST_P(CapiMoves, AThousandMovesLeaveTheBarWhereTheGuestPutIt) {
  create();
  const bool by_vmm = GetParam();
  passthru_device* device = open(by_vmm ? PASSTHRU_BARS_BY_VMM : 0);
  place(device);
  enable_msix(device);
  for (unsigned vector = 0; vector < 65 && !by_vmm; ++vector) program_by_address(vector);
  vmm.host.delivered();
  for (unsigned move = 0; move < 1000; ++move) {
    const uint64_t address = kCWindow + uint64_t{move % 64} * 0x4000;
    place(device, address);
    if (by_vmm) {
      ASSERT_EQ(vmm.placed.at(0), address);
      continue;
    }
    ASSERT_EQ(vmm.host.mappings().size(), 1U);
    ASSERT_EQ(vmm.host.mappings()[0].address, address);
    hardware.fire(move % 65);
    ASSERT_THAT(vmm.host.delivered(), ElementsAre(message_of(move % 65)));
  }
}

INSTANTIATE_TEST_SUITE_P(Sides, CapiMoves, ::testing::Bool(),
                         [](const auto& of) { return of.param ? "ByTheVmm" : "ByTheLibrary"; });

TEST_F(CapiDevice, ABarDoesNotAppearWhereItIsHidden) {
  create();
  ASSERT_EQ(passthru_domain_hide_bars(domain, kCWindow, 0x1000), 0);
  EXPECT_EQ(passthru_domain_hide_bars(domain, UINT64_MAX, 2), -EINVAL);
  passthru_device* device = open();
  place(device);
  ASSERT_EQ(vmm.host.mappings().size(), 1U);
  EXPECT_EQ(vmm.host.mappings()[0].address, kCWindow + 0x1000);
  uint32_t value = 0;
  EXPECT_EQ(passthru_domain_mmio_read(domain, kCWindow, &value, 4), -ENXIO);
  EXPECT_EQ(passthru_domain_mmio_read(domain, kCWindow + kCTable, &value, 4), 0);
}

TEST_F(CapiDevice, AnAccessOfAnySizeIsSplit) {
  create();
  passthru_device* device = open(PASSTHRU_BARS_BY_VMM);
  std::vector<uint8_t> bytes(40, 0);
  EXPECT_EQ(passthru_device_bar_read(device, 0, 0x4000 - 20, bytes.data(), bytes.size()), 0);
  for (size_t at = 20; at < bytes.size(); ++at) EXPECT_EQ(bytes[at], 0xff) << "beyond the BAR";
  const uint64_t message[] = {0xfee0'1000, 0x0000'0001'0000'0055};
  EXPECT_EQ(passthru_device_bar_write(device, 0, kCTable + 16, message, sizeof message), 0);
  uint64_t read[2] = {};
  EXPECT_EQ(passthru_device_bar_read(device, 0, kCTable + 16, read, sizeof read), 0);
  EXPECT_EQ(read[0], message[0]);
  EXPECT_EQ(read[1], message[1]);
}

}  // namespace
}  // namespace passthru
