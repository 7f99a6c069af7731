// SPDX-License-Identifier: MIT
// Tests of the kinds of a guest's message: an interrupt, remappable, or invalid.
#include "irq/remap.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace passthru {
namespace {

using ::testing::HasSubstr;

TEST(Remap, OnlyOneMegabyteBelowFourGigabytesIsInterrupts) {
  for (const uint64_t address : {0xfee0'0000ULL, 0xfeef'ffffULL}) {
    EXPECT_TRUE(is_interrupt_address(address)) << std::hex << address;
  }
  for (const uint64_t address :
       {0ULL, 0xfedf'ffffULL, 0xfef0'0000ULL, 0x1'fee0'0000ULL, 0x8000'0000'fee0'0000ULL, ~0ULL}) {
    EXPECT_FALSE(is_interrupt_address(address)) << std::hex << address;
  }
}

TEST(Remap, AMessageOfAGuestWithoutRemappingIsRoutedAsItIs) {
  for (const MsiMessage& message : {
           MsiMessage{0xfee0'0000, 0x41},
           MsiMessage{0xfeef'f00f, 0xc0ff},  // another CPU, logical, redirectable, level
           MsiMessage{0xfee0'0000, 0x10},    // the lowest vector
           MsiMessage{0xfee0'0000, 0x400},   // NMI: carries no vector
           MsiMessage{0xfee0'0000, 0x49b1},  // as made from an IOAPIC entry
       }) {
    const auto routed = translate_plain(message);
    ASSERT_TRUE(routed) << routed.error().message();
    EXPECT_EQ(*routed, message);
  }
}

struct NoInterrupt {
  MsiMessage message;
  const char* why;
};

TEST(Remap, WhatIsNoInterruptIsRefusedWithItsReason) {
  const NoInterrupt refused[] = {
      {{}, "0x0 is not an interrupt address"},
      {{0x1000, 0x41}, "0x1000 is not an interrupt address"},
      {{0x1'fee0'0000, 0x41}, "not an interrupt address"},
      {{0xfee0'0010, 0x41}, "remappable format"},
      {{0xfee0'0020, 0x41}, "reserved bits"},
      {{0xfee0'0800, 0x41}, "reserved bits"},
      {{0xfee0'0000, 0x1'0041}, "data 0x10041"},
      {{0xfee0'0000, 0x8000'0041}, "data"},
      {{0xfee0'0000, 0x341}, "data"},  // reserved delivery modes
      {{0xfee0'0000, 0x641}, "data"},
      {{0xfee0'0000, 0x0f}, "data"},  // illegal vectors
      {{0xfee0'0000, 0x10f}, "data"},
  };
  for (const auto& [message, why] : refused) {
    const auto routed = translate_plain(message);
    ASSERT_FALSE(routed) << why;
    EXPECT_EQ(routed.error().code, EINVAL);
    EXPECT_THAT(routed.error().cause, HasSubstr(why));
  }
}

TEST(Remap, AnExtendedDestinationIsWhereKvmTakesIt) {
  struct Case {
    MsiMessage message, routed;
  };
  for (const auto& [message, routed] : {
           Case{{0xfee0'5000, 0x41}, {0xfee0'5000, 0x41}},
           Case{{0xfee0'5024, 0x41}, {0x100'fee0'5004, 0x41}},   // id 0x105
           Case{{0xfeef'ffec, 0x41}, {0x7f00'fee'ff00c, 0x41}},  // id 0x7fff
       }) {
    const auto found = translate_extended(message);
    ASSERT_TRUE(found) << found.error().message();
    EXPECT_EQ(found->address, routed.address) << std::hex << found->address;
    EXPECT_EQ(found->data, routed.data);
  }
  EXPECT_FALSE(translate_extended({0xfee0'5030, 0x41})) << "bit 4 does not belong to the id";
  EXPECT_FALSE(translate_extended({0x1'fee0'5020, 0x41}));
  EXPECT_FALSE(translate_extended({0xfee0'5020, 0x1'0041}));
}

TEST(Remap, AnyDestinationHasAnAddress) {
  EXPECT_EQ(message_address(0), 0xfee0'0000U);
  EXPECT_EQ(message_address(0xff), 0xfeef'f000U);
  EXPECT_EQ(message_address(0x1234'5678), 0x1234'5600'fee7'8000U);
}

}  // namespace
}  // namespace passthru
