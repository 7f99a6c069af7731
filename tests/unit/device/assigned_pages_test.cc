// SPDX-License-Identifier: MIT
// Assigned devices on hosts with small and with large pages.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "tests/unit/device/assigned_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;

/// The parameter is the size of a page of the host.
class AssignedPages : public AssignedFixture, public testing::WithParamInterface<uint64_t> {
 protected:
  static constexpr uint64_t kTable = 0x46800;
  static constexpr uint64_t kPba = 0x46068;

  AssignedPages() : AssignedFixture(GetParam()) {}

  /// A device with its table, pending bits and registers in the page at 0x46000.
  void open_crowded() {
    FakeSpec spec = FakeSpec::nvme();
    spec.bars[0].size = 0x80000;
    spec.msix = {.vectors = 128, .table_offset = kTable, .pba_offset = kPba};
    hardware = &plug(spec);
    open();
    place(kWindow);
  }
  uint32_t device_register(uint64_t offset) {
    uint32_t value = 0;
    std::memcpy(&value, &hardware->bar(0)[offset], sizeof value);
    return value;
  }
  [[nodiscard]] static uint64_t page_begin() { return kTable / GetParam() * GetParam(); }
};

TEST_P(AssignedPages, Case25RegistersBesideTableAndPendingBitsReachTheDevice) {
  open_crowded();
  for (const uint64_t offset : {0x46018U, 0x46064U, 0x46078U, 0x46500U, 0x467fcU}) {
    const auto value = static_cast<uint32_t>(0xabc00000 | offset);
    mmio_write(kWindow + offset, value);
    EXPECT_EQ(device_register(offset), value) << std::hex << offset;
    EXPECT_EQ(mmio_read(kWindow + offset), value) << std::hex << offset;
  }
  EXPECT_FALSE(mapped(kWindow + 0x46018));
}

TEST_P(AssignedPages, Case25TableAndPendingBitsAreOurs) {
  open_crowded();
  enable_msix();
  enable_vector(127, kWindow + kTable);
  EXPECT_EQ(hardware->entry(127), hardware->host_message(127));
  EXPECT_EQ(mmio_read(kWindow + kTable + 127 * 16 + 8), message_of(127).data);
  EXPECT_EQ(hardware->fire(127), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(127)));
  mmio_write(kWindow + kTable + 127 * 16 + 12, 1);
  hardware->fire(127);
  EXPECT_EQ(mmio_read(kWindow + kPba + 12), 1U << 31);
  EXPECT_EQ(device_register(kPba + 12), 0U) << "the device's own bit is not set";
}

TEST_P(AssignedPages, Case25TheRestOfTheBarIsMappedInWholePages) {
  open_crowded();
  const uint64_t begin = kWindow + page_begin();
  EXPECT_TRUE(mapped(begin - 1));
  EXPECT_FALSE(mapped(begin));
  EXPECT_FALSE(mapped(begin + GetParam() - 1));
  EXPECT_TRUE(mapped(begin + GetParam()));
  uint64_t bytes = 0;
  for (const GuestMapping& each : host.mappings()) {
    EXPECT_EQ(each.address % GetParam(), 0U);
    EXPECT_EQ(each.size % GetParam(), 0U);
    bytes += each.size;
  }
  EXPECT_EQ(bytes, 0x80000U - GetParam());
}

TEST_P(AssignedPages, Case25ATableInABarOfItsOwnTakesAWholePage) {
  hardware = &plug(FakeSpec::xhci());
  open({.msix = {.kind = MsixChoice::Kind::Auto}});
  constexpr uint32_t kBar2 = kBar0 + 8;
  device->config_write(kBar2, 4, UINT32_MAX);
  EXPECT_EQ(device->config_read(kBar2, 4), static_cast<uint32_t>(0 - GetParam()));
}

TEST_P(AssignedPages, Case25ADriveWithABarOfAFewSmallPagesWorks) {
  open_driven(3);
  EXPECT_EQ(hardware->fire(2), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
  mmio_write(kWindow + 0x1000, 0x1234'5678);
  EXPECT_EQ(device_register(0x1000), 0x1234'5678U);
  hardware->backdoor_reset();
  EXPECT_EQ(device->check_health(), 3U) << "the damaged vectors are restored";
  device.reset();
  EXPECT_EQ(kernel->mappings(), 0U);
}

INSTANTIATE_TEST_SUITE_P(Sizes, AssignedPages, testing::Values(0x1000, 0x4000, 0x10000),
                         [](const auto& test) {
                           return std::to_string(test.param / 1024) + "KiB";
                         });

}  // namespace
}  // namespace passthru
