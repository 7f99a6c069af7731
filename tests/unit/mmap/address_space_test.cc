// SPDX-License-Identifier: MIT
// Which window of an address space answers an access, and with which bytes.
#include <gtest/gtest.h>

#include "tests/unit/mmap/address_space_fixture.h"

namespace passthru {
namespace {

TEST(AddressSpace, AnAccessFindsItsWindowAndTheOffsetInIt) {
  AddressSpace space(kLimit, nullptr);
  auto target = std::make_shared<Recorder>(uint8_t{7});
  add(space, {0x1000, 0x100, target, {}});
  EXPECT_EQ(read(space, 0x1010, 4), 0x07070707U);
  const std::array<std::byte, 2> data{};
  EXPECT_TRUE(space.write(0x10fe, data));
  EXPECT_EQ(target->log, "r16+4 w254+2 ");
}

TEST(AddressSpace, WhatNobodyAnswersReadsAllOnesAndSaysSo) {
  AddressSpace space(kLimit, nullptr);
  std::array<std::byte, 4> data{};
  EXPECT_FALSE(space.read(0x1000, data));
  EXPECT_EQ(data, (std::array<std::byte, 4>{std::byte{0xff}, std::byte{0xff}, std::byte{0xff},
                                            std::byte{0xff}}));
  add(space, {0x1000, 0x100, std::make_shared<Recorder>(uint8_t{7}), {}});
  EXPECT_FALSE(space.read(0xfff - 3, data));
  EXPECT_FALSE(space.read(0x1100, data));
  EXPECT_FALSE(space.write(0x1100, data));
  EXPECT_FALSE(space.read(UINT64_MAX - 3, data));
}

TEST(AddressSpace, AnAccessAcrossSeveralWindowsIsSplitBetweenThem) {
  AddressSpace space(kLimit, nullptr);
  auto low = std::make_shared<Recorder>(uint8_t{1});
  auto high = std::make_shared<Recorder>(uint8_t{2});
  add(space, {0x1002, 2, low, {}});
  add(space, {0x1005, 0x100, high, {}});
  EXPECT_EQ(read(space, 0x1000, 8), 0x020202ff0101ffffU);
  EXPECT_EQ(low->log, "r0+2 ");
  EXPECT_EQ(high->log, "r0+3 ");
}

TEST(AddressSpace, AnAccessBeyondTheTopOfTheSpaceDoesNotWrapToZero) {
  AddressSpace space(UINT64_MAX, nullptr);
  auto zero = std::make_shared<Recorder>(uint8_t{1});
  add(space, {0, 0x1000, zero, {}});
  add(space, {UINT64_MAX - 4, 4, std::make_shared<Recorder>(uint8_t{2}), {}});
  EXPECT_EQ(read(space, UINT64_MAX - 3, 8), 0xffffffffff020202U);
  EXPECT_EQ(zero->log, "");
}

TEST(AddressSpace, TheWindowAddedFirstAnswersUntilItGoes) {
  AddressSpace space(kLimit, nullptr);
  const WindowId first = add(space, {0x1000, 0x100, std::make_shared<Recorder>(uint8_t{1}), {}});
  add(space, {0x1080, 0x100, std::make_shared<Recorder>(uint8_t{2}), {}});
  EXPECT_EQ(read(space, 0x10f0, 1), 1U);
  EXPECT_EQ(read(space, 0x1100, 1), 2U);
  remove(space, first);
  EXPECT_EQ(read(space, 0x10f0, 1), 2U);
  EXPECT_EQ(read(space, 0x1000, 1), 0xffU);
}

TEST(AddressSpace, AWindowWithoutATargetHidesWhatIsAddedAfterIt) {
  FakeMapper mapper;
  AddressSpace space(kLimit, &mapper, kPage);
  add(space, {0x10000, 0x2000, nullptr, {}});
  add(space, mapped_window(0x11000, 0x2000, 0x100000));
  EXPECT_EQ(read(space, 0x11000, 1), 0xffU);
  EXPECT_EQ(read(space, 0x12000, 1), 1U);
  EXPECT_EQ(mapper.all(), (std::vector<GuestMapping>{{0x12000, 0x1000, host(0x101000)}}));
}

struct BadChange {
  std::string name;
  AddressSpaceChange change;
};

class BadAddressSpaceChange : public testing::TestWithParam<BadChange> {};

TEST_P(BadAddressSpaceChange, IsRefusedAndChangesNothing) {
  FakeMapper mapper;
  AddressSpace space(0x10000, &mapper, kPage);
  add(space, mapped_window(0x4000, 0x1000, 0x100000));
  const auto ids = space.commit(GetParam().change);
  ASSERT_FALSE(ids);
  EXPECT_EQ(ids.error().code, EINVAL);
  EXPECT_EQ(read(space, 0x4000, 1), 1U);
  EXPECT_EQ(read(space, 0x8000, 1), 0xffU);
  EXPECT_EQ(mapper.maps, 1U);
}

INSTANTIATE_TEST_SUITE_P(
    AddressSpace, BadAddressSpaceChange,
    testing::Values(
        BadChange{"SizeZero", {{}, {{0x8000, 0, nullptr, {}}}}},
        BadChange{"BeyondTheLimit", {{}, {{0x8000, 0x8001, nullptr, {}}}}},
        BadChange{"BaseAtTheLimit", {{}, {{0x10000, 1, nullptr, {}}}}},
        BadChange{"Wrapping", {{}, {{0x8000, UINT64_MAX, nullptr, {}}}}},
        BadChange{"OneOfTwo", {{}, {{0x8000, 16, nullptr, {}}, {0x9000, 0, nullptr, {}}}}},
        BadChange{"SpanBeyondTheEnd", {{}, {{0x8000, 16, nullptr, {{16, 1, nullptr}}}}}},
        BadChange{"SpanWrapping", {{}, {{0x8000, 16, nullptr, {{8, UINT64_MAX, nullptr}}}}}},
        BadChange{"SpansOverlap",
                  {{}, {{0x8000, 16, nullptr, {{0, 8, nullptr}, {7, 2, nullptr}}}}}},
        BadChange{"UnknownId", {{99}, {}}}, BadChange{"KnownAndUnknownId", {{1, 99}, {}}},
        BadChange{"TheSameIdTwice", {{1, 1}, {}}}),
    [](const auto& test) { return test.param.name; });

}  // namespace
}  // namespace passthru
