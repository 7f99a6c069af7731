// SPDX-License-Identifier: MIT
// Tests of VT-d interrupt remapping, case by case after the specification (5.1, 9.10).
#include "irq/vtd_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "irq/remap.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

constexpr uint16_t kRequester = 0x0310;  // 03:02.0

// Fields of an entry, at the positions in the specification's figure.
constexpr uint64_t kPresent = 1;
constexpr uint64_t kFaultsOff = 1 << 1;
constexpr uint64_t kLogical = 1 << 2;
constexpr uint64_t kRedirect = 1 << 3;
constexpr uint64_t kLevel = 1 << 4;
constexpr uint64_t mode(uint64_t delivery) {
  return delivery << 5;
}
constexpr uint64_t vector(uint64_t number) {
  return number << 16;
}
constexpr uint64_t xapic(uint64_t id) {
  return id << 40;
}
constexpr uint64_t x2apic(uint64_t id) {
  return id << 32;
}
// Source fields: validation type, qualifier and id.
constexpr uint64_t source(uint64_t type, uint64_t qualifier, uint64_t id) {
  return type << 18 | qualifier << 16 | id;
}

constexpr MsiMessage naming(uint32_t handle) {
  return {0xfee0'0010 | (handle & 0x7fff) << 5 | (handle >> 15) << 2, 0};
}
constexpr MsiMessage naming(uint32_t handle, uint32_t subhandle) {
  return {naming(handle).address | 1 << 3, subhandle};
}

class VtdTableTest : public ::testing::Test {
 protected:
  VtdTableTest() {
    table.entries = 256;
    table.read = [this](uint32_t index) -> std::optional<VtdIrte> {
      EXPECT_LT(index, table.entries) << "read beyond the table";
      if (unreadable) return std::nullopt;
      return entries[index];
    };
  }

  MsiMessage delivered(const MsiMessage& message) {
    const auto found = vtd_translate(table, message, kRequester);
    EXPECT_TRUE(found) << vtd_error(found.error()).message();
    return found.value_or(MsiMessage{});
  }
  VtdFault fault(const MsiMessage& message, uint16_t device = kRequester) {
    const auto found = vtd_translate(table, message, device);
    EXPECT_FALSE(found) << "the message was delivered";
    return found ? VtdFault{VtdReason{0xff}, 0, false} : found.error();
  }
  bool may_use(uint64_t who, uint16_t device) {
    entries[1] = {kPresent | vector(0x41), who};
    const auto found = vtd_translate(table, naming(1), device);
    if (!found) {
      EXPECT_EQ(found.error(), (VtdFault{VtdReason::WrongSource, 1, true}));
    }
    return found.has_value();
  }

  VtdTable table;
  std::map<uint32_t, VtdIrte> entries;
  bool unreadable = false;
};

TEST_F(VtdTableTest, AnEntryBecomesAMessageToItsCpu) {
  struct Delivery {
    uint64_t low;
    MsiMessage message;
  };
  for (const auto& [low, message] : {
           Delivery{vector(0x41) | xapic(0), {0xfee0'0000, 0x41}},
           Delivery{vector(0xff) | xapic(0xff), {0xfeef'f000, 0xff}},
           Delivery{vector(0x10) | kLogical | xapic(3), {0xfee0'3004, 0x10}},
           Delivery{vector(0x41) | kRedirect | mode(1) | xapic(3), {0xfee0'3008, 0x141}},
           Delivery{vector(0x41) | kLevel, {0xfee0'0000, 0xc041}},
           Delivery{mode(4), {0xfee0'0000, 0x400}},              // NMI
           Delivery{vector(0x41) | 0xf00, {0xfee0'0000, 0x41}},  // bits for software
           Delivery{vector(0x41) | kFaultsOff, {0xfee0'0000, 0x41}},
       }) {
    entries[7] = {kPresent | low, 0};
    EXPECT_EQ(delivered(naming(7)), message) << std::hex << low;
  }
}

TEST_F(VtdTableTest, AnExtendedDestinationHas32Bits) {
  table.x2apic = true;
  entries[7] = {kPresent | vector(0x41) | x2apic(0x1234'5678), 0};
  EXPECT_EQ(delivered(naming(7)), (MsiMessage{message_address(0x1234'5678), 0x41}));
}

TEST_F(VtdTableTest, TheIndexIsTheHandleWithItsHighestBitApart) {
  table.entries = 65'536;
  for (const uint32_t index : {0U, 1U, 0x7fffU, 0x8000U, 0xffffU}) {
    entries.clear();
    entries[index] = {kPresent | vector(0x41), 0};
    EXPECT_EQ(delivered(naming(index)), (MsiMessage{0xfee0'0000, 0x41})) << index;
    EXPECT_EQ(vtd_index(naming(index)), index);
  }
}

TEST_F(VtdTableTest, ASubhandleIsAddedWhereItIsValid) {
  entries[12] = {kPresent | vector(0x41), 0};
  EXPECT_EQ(delivered(naming(10, 2)).data, 0x41U);
  EXPECT_EQ(vtd_index(naming(10, 2)), 12U);
  entries[10] = {kPresent | vector(0x51), 0};
  MsiMessage without = naming(10);
  without.data = 0xdead'0002;
  EXPECT_EQ(delivered(without).data, 0x51U) << "without a subhandle, the data is ignored";
  EXPECT_EQ(vtd_index(without), 10U);
}

TEST_F(VtdTableTest, AMessageInAnotherFormatNamesNoEntry) {
  EXPECT_EQ(vtd_index({0xfee0'0000, 0x41}), std::nullopt);
  EXPECT_EQ(vtd_index({0x1000'0010, 0}), std::nullopt);
}

TEST_F(VtdTableTest, ReservedBitsOfTheDataAreFault20) {
  entries[12] = {kPresent | vector(0x41), 0};
  EXPECT_EQ(fault(naming(10, 0x1'0002)), (VtdFault{VtdReason::ReservedInRequest, 12, true}));
}

TEST_F(VtdTableTest, AnIndexBeyondTheTableIsFault21AndReadsNothing) {
  EXPECT_EQ(fault(naming(256)), (VtdFault{VtdReason::IndexBeyondTable, 256, true}));
  EXPECT_EQ(fault(naming(255, 1)).reason, VtdReason::IndexBeyondTable);
  // 17 bits: the sum must not wrap to an existing entry.
  table.entries = 65'536;
  EXPECT_EQ(fault(naming(0xffff, 0xffff)), (VtdFault{VtdReason::IndexBeyondTable, 131'070, true}));
}

TEST_F(VtdTableTest, AnEntryThatIsNotPresentIsFault22UnlessItSaysNotToTell) {
  EXPECT_EQ(fault(naming(3)), (VtdFault{VtdReason::NotPresent, 3, true}));
  entries[3] = {kFaultsOff | vector(0x41), 0};
  EXPECT_EQ(fault(naming(3)), (VtdFault{VtdReason::NotPresent, 3, false}));
}

TEST_F(VtdTableTest, ATableThatCannotBeReadIsFault23) {
  unreadable = true;
  EXPECT_EQ(fault(naming(3)), (VtdFault{VtdReason::TableUnreadable, 3, true}));
}

TEST_F(VtdTableTest, ReservedBitsOfAnEntryAreFault24) {
  const VtdIrte refused[] = {
      {1 << 12, 0},           {1 << 14, 0},           {1 << 15, 0},  // posted
      {1 << 24, 0},           {uint64_t{1} << 31, 0}, {uint64_t{1} << 32, 0},
      {uint64_t{1} << 39, 0}, {uint64_t{1} << 48, 0}, {uint64_t{1} << 63, 0},
      {0, 1 << 20},           {0, uint64_t{1} << 63}, {mode(3), 0},
      {mode(6), 0},
  };
  for (const VtdIrte& bad : refused) {
    entries[3] = {kPresent | vector(0x41) | bad.low, bad.high};
    EXPECT_EQ(fault(naming(3)), (VtdFault{VtdReason::ReservedInEntry, 3, true}))
        << std::hex << bad.high << ' ' << bad.low;
    entries[3].low |= kFaultsOff;
    EXPECT_FALSE(fault(naming(3)).recorded);
  }
}

TEST_F(VtdTableTest, CompatibilityFormatIsFault25UnlessItMayPass) {
  const MsiMessage message{0xfee0'1000, 0x41};
  EXPECT_EQ(fault(message), (VtdFault{VtdReason::CompatibilityBlocked, 0, true}));
  table.compatibility = true;
  EXPECT_EQ(delivered(message), message);
  table.x2apic = true;
  EXPECT_EQ(fault(message).reason, VtdReason::CompatibilityBlocked);
}

TEST_F(VtdTableTest, OnlyTheDeviceThatAnEntryNamesMayUseIt) {
  EXPECT_TRUE(may_use(source(0, 0, 0x1234), kRequester)) << "the source is not verified";
  EXPECT_TRUE(may_use(source(1, 0, kRequester), kRequester));
  EXPECT_FALSE(may_use(source(1, 0, kRequester + 1), kRequester));
  EXPECT_FALSE(may_use(source(1, 0, kRequester + 0x100), kRequester));
  EXPECT_FALSE(may_use(source(3, 0, kRequester), kRequester)) << "the validation type is reserved";
}

TEST_F(VtdTableTest, AQualifierLeavesBitsOfTheFunctionOut) {
  // The functions of the same device that may use an entry of function 0, by qualifier.
  const uint8_t allowed[] = {0b0000'0001, 0b0001'0001, 0b0101'0101, 0b1111'1111};
  for (unsigned qualifier = 0; qualifier < 4; ++qualifier) {
    for (uint16_t function = 0; function < 8; ++function) {
      const bool may = (allowed[qualifier] >> function & 1) != 0;
      const auto device = static_cast<uint16_t>(kRequester + function);
      EXPECT_EQ(may_use(source(1, qualifier, kRequester), device), may)
          << qualifier << ' ' << function;
    }
    EXPECT_FALSE(may_use(source(1, qualifier, kRequester), kRequester + 8)) << "another device";
  }
}

TEST_F(VtdTableTest, ARangeOfBusesIncludesItsEnds) {
  const uint64_t range = source(2, 0, 0x0305);
  EXPECT_FALSE(may_use(range, 0x02ff));
  EXPECT_TRUE(may_use(range, 0x0300));
  EXPECT_TRUE(may_use(range, 0x05ff));
  EXPECT_FALSE(may_use(range, 0x0600));
}

TEST_F(VtdTableTest, WhatIsNoInterruptIsNoFaultOfRemapping) {
  table.compatibility = true;
  const VtdFault no_interrupt{};
  EXPECT_EQ(fault({0x1000, 0x41}), no_interrupt);
  EXPECT_EQ(fault({0x1'fee0'0010, 0}), no_interrupt);
  EXPECT_EQ(fault({0xfee0'0020, 0x41}), no_interrupt);
  EXPECT_EQ(fault({0xfee0'0000, 0x1'0041}), no_interrupt);
  entries[3] = {kPresent | vector(0x0f), 0};
  EXPECT_EQ(fault(naming(3)), (VtdFault{VtdReason::NoInterrupt, 3, false}));
}

TEST_F(VtdTableTest, AFaultSaysWhichEntryAndWhy) {
  const Error error = vtd_error(fault(naming(3)));
  EXPECT_EQ(error.code, EINVAL);
  EXPECT_THAT(error.cause, HasSubstr("entry 3"));
  EXPECT_THAT(error.cause, HasSubstr("22h"));
  EXPECT_THAT(error.cause, HasSubstr("not present"));
  EXPECT_THAT(vtd_error({}).cause, Not(HasSubstr("entry")));
}

}  // namespace
}  // namespace passthru
