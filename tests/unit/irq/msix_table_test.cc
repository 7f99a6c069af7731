// SPDX-License-Identifier: MIT
// Tests of a guest's writes to its MSI-X table (PCI 3.0, 6.8.2).
#include "irq/msix_table.h"

#include <gtest/gtest.h>

#include <cstring>

namespace passthru {
namespace {

template <class T>
MsixTable::Touched put(MsixTable& table, uint64_t offset, T value) {
  return table.write(offset, std::as_bytes(std::span{&value, 1}));
}

template <class T>
T get(const MsixTable& table, uint64_t offset) {
  T value{};
  table.read(offset, std::as_writable_bytes(std::span{&value, 1}));
  return value;
}

TEST(MsixTable, IsMaskedAndZeroAfterPowerOn) {
  const MsixTable table(2);
  EXPECT_EQ(get<uint64_t>(table, 16), 0U);
  EXPECT_EQ(get<uint32_t>(table, 16 + 8), 0U);
  EXPECT_EQ(get<uint32_t>(table, 16 + 12), 1U);
  EXPECT_FALSE(table.live(0));
}

TEST(MsixTable, AVectorIsLiveOnlyWhenEnabledAndMaskedNowhere) {
  MsixTable table(1);
  for (const bool enable : {false, true}) {
    for (const bool function_mask : {false, true}) {
      for (const bool mask : {false, true}) {
        table.write_control(static_cast<uint16_t>((enable ? PCI_MSIX_FLAGS_ENABLE : 0) |
                                                  (function_mask ? PCI_MSIX_FLAGS_MASKALL : 0)));
        put<uint32_t>(table, 12, mask ? 1 : 0);
        EXPECT_EQ(table.live(0), enable && !function_mask && !mask);
      }
    }
  }
}

TEST(MsixTable, ReadsBackWhatWasWrittenInEveryWidth) {
  MsixTable table(3);
  put<uint64_t>(table, 16, 0x0000'0001'fee0'1000);
  put<uint16_t>(table, 16 + 8, 0x4321);
  put<uint8_t>(table, 16 + 10, 0x65);
  EXPECT_EQ(get<uint32_t>(table, 16), 0xfee0'1000U);
  EXPECT_EQ(get<uint32_t>(table, 20), 1U);
  EXPECT_EQ(get<uint32_t>(table, 24), 0x0065'4321U);
  EXPECT_EQ(get<uint8_t>(table, 17), 0x10U);
  EXPECT_EQ(table.message(1), (MsiMessage{0x0000'0001'fee0'1000, 0x0065'4321}));
}

TEST(MsixTable, KeepsOnlyTheMaskBitOfVectorControl) {
  MsixTable table(1);
  put<uint32_t>(table, 12, 0xffff'fffe);
  EXPECT_EQ(get<uint32_t>(table, 12), 0U);
  put<uint8_t>(table, 12, 0xff);
  EXPECT_EQ(get<uint32_t>(table, 12), 1U);
  put<uint8_t>(table, 15, 0xff);
  EXPECT_EQ(get<uint32_t>(table, 12), 1U);
}

TEST(MsixTable, KeepsOnlyEnableAndFunctionMaskOfMessageControl) {
  MsixTable table(1);
  table.write_control(0xffff);
  EXPECT_EQ(table.control(), PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
}

TEST(MsixTable, SaysWhichVectorsAWriteTouched) {
  MsixTable table(4);
  auto touched = put<uint32_t>(table, 16 + 4, 0);
  EXPECT_EQ(touched.first, 1U);
  EXPECT_EQ(touched.count, 1U);
  touched = put<uint64_t>(table, 28, 0);  // vector control of entry 1 and address of entry 2
  EXPECT_EQ(touched.first, 1U);
  EXPECT_EQ(touched.count, 2U);
  EXPECT_EQ(table.write_control(PCI_MSIX_FLAGS_ENABLE).count, 4U);
  EXPECT_EQ(table.write_control(PCI_MSIX_FLAGS_ENABLE).count, 0U) << "nothing changed";
}

TEST(MsixTable, AMessageChangedWhileLiveIsTakenOverWhole) {
  MsixTable table(1);
  const MsiMessage before{0xfee0'1000, 0x41};
  put<uint64_t>(table, 0, before.address);
  put<uint32_t>(table, 8, before.data);
  put<uint32_t>(table, 12, 0);
  table.write_control(PCI_MSIX_FLAGS_ENABLE);
  ASSERT_TRUE(table.live(0));

  put<uint32_t>(table, 0, 0xfee0'2000);
  EXPECT_EQ(table.message(0), before) << "half a message changes nothing";
  put<uint32_t>(table, 4, 0);
  EXPECT_EQ(table.message(0), before);
  put<uint32_t>(table, 8, 0x52);
  EXPECT_EQ(table.message(0), (MsiMessage{0xfee0'2000, 0x52}));
}

TEST(MsixTable, AnAddressChangedAloneWhileLiveCountsFromTheNextMaskEdge) {
  MsixTable table(1);
  put<uint32_t>(table, 12, 0);
  table.write_control(PCI_MSIX_FLAGS_ENABLE);
  put<uint32_t>(table, 0, 0xfee0'3000);
  EXPECT_EQ(table.message(0).address, 0U);
  put<uint32_t>(table, 12, 0);
  EXPECT_EQ(table.message(0).address, 0xfee0'3000U);
}

TEST(MsixTable, BeyondItsEndReadsAreAllOnesAndWritesAreDropped) {
  MsixTable table(1);
  EXPECT_EQ(get<uint32_t>(table, 16), 0xffff'ffffU);
  EXPECT_EQ(get<uint64_t>(table, 12), 0xffff'ffff'0000'0001U)
      << "the half inside the table is read";
  EXPECT_EQ(get<uint32_t>(table, ~uint64_t{0} - 2), 0xffff'ffffU)
      << "an offset near the top does not wrap";
  EXPECT_EQ(put<uint32_t>(table, 16, 0).count, 0U);
  EXPECT_EQ(put<uint32_t>(table, ~uint64_t{0} - 2, 0).count, 0U);
  EXPECT_EQ(put<uint64_t>(table, 12, 0).count, 1U) << "the half inside the table is written";
  EXPECT_FALSE(table.masked(0));
}

TEST(MsixTable, HoldsTheLargestTableThereIs) {
  MsixTable table(2048);
  put<uint32_t>(table, 2047 * 16 + 8, 7);
  EXPECT_EQ(table.message(2047).data, 7U);
}

TEST(MsixTable, ResetForgetsEverything) {
  MsixTable table(1);
  put<uint32_t>(table, 0, 0xfee0'0000);
  put<uint32_t>(table, 12, 0);
  table.write_control(PCI_MSIX_FLAGS_ENABLE);
  table.reset();
  EXPECT_EQ(table.control(), 0U);
  EXPECT_TRUE(table.masked(0));
  EXPECT_EQ(table.message(0), MsiMessage{});
  EXPECT_EQ(get<uint32_t>(table, 0), 0U);
}

TEST(MsixTable, GoesOnFromAnEntryThatAGuestWasChanging) {
  MsixTable before(2);
  put<uint64_t>(before, 16, 0xfee0'1000);
  put<uint32_t>(before, 16 + 8, 0x41);
  put<uint32_t>(before, 16 + 12, 0);
  before.write_control(PCI_MSIX_FLAGS_ENABLE);
  put<uint32_t>(before, 16, 0xfee0'2000);

  MsixTable after(2);
  for (const unsigned vector : {0U, 1U}) {
    after.load(vector, before.entry(vector), before.message(vector));
  }
  after.load_control(0xffff);
  EXPECT_EQ(after.control(), PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  after.load_control(before.control());
  EXPECT_TRUE(after.live(1));
  EXPECT_FALSE(after.live(0));
  EXPECT_EQ(after.message(1), (MsiMessage{0xfee0'1000, 0x41}));
  EXPECT_EQ(get<uint32_t>(after, 16), 0xfee0'2000U);
  put<uint32_t>(after, 16 + 8, 0x42);
  EXPECT_EQ(after.message(1), (MsiMessage{0xfee0'2000, 0x42}));
}

TEST(MsixTable, LoadsOnlyTheMaskBitOfVectorControl) {
  MsixTable table(1);
  table.load(0, {.control = 0xffff'fffe}, {});
  EXPECT_EQ(get<uint32_t>(table, 12), 0U);
}

}  // namespace
}  // namespace passthru
