// SPDX-License-Identifier: MIT
#include "mmap/flat_view.h"

#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>

#include "tests/unit/mmap/host_memory.h"

namespace passthru {
namespace {

using Segments = std::vector<FlatSegment>;

struct FlatCase {
  std::string name;
  std::vector<FlatRange> ranges;
  Segments visible;
};

class FlatMap : public testing::TestWithParam<FlatCase> {};

TEST_P(FlatMap, ShowsTheFirstRangeWhereTheyOverlap) {
  EXPECT_EQ(flatten(GetParam().ranges), GetParam().visible);
}

INSTANTIATE_TEST_SUITE_P(
    Overlaps, FlatMap,
    testing::Values(
        FlatCase{"Nothing", {}, {}}, FlatCase{"ARangeOfSizeZero", {{16, 0}}, {}},
        FlatCase{"One", {{16, 8}}, {{16, 8, 0}}},
        FlatCase{"Unordered", {{64, 8}, {16, 8}}, {{16, 8, 1}, {64, 8, 0}}},
        FlatCase{"TheFirstHidesTheTail", {{20, 10}, {10, 15}}, {{10, 10, 1}, {20, 10, 0}}},
        FlatCase{"TheFirstHidesTheHead", {{10, 15}, {20, 10}}, {{10, 15, 0}, {25, 5, 1}}},
        FlatCase{
            "TheFirstSplitsTheSecond", {{20, 4}, {10, 30}}, {{10, 10, 1}, {20, 4, 0}, {24, 16, 1}}},
        FlatCase{"TheSecondIsHiddenWhole", {{10, 30}, {20, 4}}, {{10, 30, 0}}},
        FlatCase{"TwoOfTheSamePlace", {{10, 4}, {10, 4}}, {{10, 4, 0}}},
        FlatCase{"NeighboursDoNotMerge", {{10, 4}, {14, 4}}, {{10, 4, 0}, {14, 4, 1}}},
        FlatCase{"AHiddenOneReappearsBehindALaterOne",
                 {{0, 4}, {2, 4}, {0, 8}},
                 {{0, 4, 0}, {4, 2, 1}, {6, 2, 2}}},
        FlatCase{"TheTopOfTheSpace", {{UINT64_MAX - 4, 4}}, {{UINT64_MAX - 4, 4, 0}}}),
    [](const auto& test) { return test.param.name; });

TEST(FlatMapModel, AgreesWithALookAtEveryByte) {
  std::mt19937 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::vector<FlatRange> ranges(random() % 7);
    for (FlatRange& range : ranges) range = {random() % 40, random() % 12};
    std::array<std::optional<size_t>, 64> expected{};
    for (size_t i = ranges.size(); i-- > 0;) {
      for (uint64_t at = ranges[i].base; at < ranges[i].base + ranges[i].size; ++at)
        expected[at] = i;
    }
    std::array<std::optional<size_t>, 64> seen{};
    uint64_t end = 0;
    for (const FlatSegment& segment : flatten(ranges)) {
      ASSERT_GE(segment.base, end) << "segments are ascending and disjoint";
      end = segment.base + segment.size;
      for (uint64_t at = segment.base; at < end; ++at) seen[at] = segment.owner;
    }
    ASSERT_EQ(seen, expected) << "round " << round;
  }
}

/// The mappable parts of `memory` at a range, with 4 KiB pages in a space of 1 MiB.
std::vector<GuestMapping> mappable(const Segments& segments, size_t index, uint64_t range_end,
                                   const FlatMemory& memory) {
  std::vector<GuestMapping> out;
  append_mappable(segments, index, range_end, memory, 4096, 1 << 20, out);
  return out;
}

TEST(Mappable, AnAlignedRangeIsMappedWhole) {
  const auto out = mappable({{0x4000, 0x3000, 0}}, 0, 0x7000, {0x4000, 0x3000, host(0x10000)});
  EXPECT_EQ(out, (std::vector<GuestMapping>{{0x4000, 0x3000, host(0x10000)}}));
}

TEST(Mappable, PagesThatAreVisibleInPartAreNotMapped) {
  const auto out = mappable({{0x4800, 0x3000, 0}}, 0, 0x8000, {0x4000, 0x4000, host(0x10000)});
  EXPECT_EQ(out, (std::vector<GuestMapping>{{0x5000, 0x2000, host(0x11000)}}));
}

TEST(Mappable, NothingIsMappedWhereHostAndGuestPagesDisagree) {
  EXPECT_TRUE(mappable({{0x4800, 0x3000, 0}}, 0, 0x7800, {0x4800, 0x3000, host(0x10000)}).empty());
}

TEST(Mappable, AnUnalignedPlaceIsMappedWhereTheMemoryIsUnalignedAlike) {
  const auto out = mappable({{0x4800, 0x3000, 0}}, 0, 0x7800, {0x4800, 0x3000, host(0x10800)});
  EXPECT_EQ(out, (std::vector<GuestMapping>{{0x5000, 0x2000, host(0x11000)}}));
}

TEST(Mappable, LessThanAPageIsNotMapped) {
  EXPECT_TRUE(mappable({{0x4800, 0x7ff, 0}}, 0, 0x4fff, {0x4000, 0x4000, host(0x10000)}).empty());
}

TEST(Mappable, ASmallRangeGetsItsPageWhileNobodyElseIsInIt) {
  const FlatMemory page{0x4000, 0x1000, host(0x10000)};
  const std::vector<GuestMapping> mapped{{0x4000, 0x1000, host(0x10000)}};
  EXPECT_EQ(mappable({{0x4000, 0x100, 0}}, 0, 0x4100, page), mapped);
  EXPECT_EQ(mappable({{0x4000, 0x100, 0}, {0x5000, 1, 1}}, 0, 0x4100, page), mapped);
  EXPECT_TRUE(mappable({{0x4000, 0x100, 0}, {0x4f00, 0x100, 1}}, 0, 0x4100, page).empty());
  EXPECT_TRUE(mappable({{0x3000, 0x1080, 1}, {0x4080, 0x80, 0}}, 1, 0x4100, page).empty());
}

TEST(Mappable, ASmallRangeIsNotMappedBeyondTheEndOfTheSpace) {
  std::vector<GuestMapping> out;
  const Segments segments{{0xff000, 0x100, 0}};
  append_mappable(segments, 0, 0xff100, {0xff000, 0x1000, host(0x10000)}, 4096, 0xff800, out);
  EXPECT_TRUE(out.empty());
}

TEST(Mappable, ASmallRangeOffItsPageIsTrapped) {
  EXPECT_TRUE(mappable({{0x4100, 0x100, 0}}, 0, 0x4200, {0x4100, 0x1000, host(0x10000)}).empty());
}

TEST(Mappable, NeighbouringMappingsOfNeighbouringMemoryAreOne) {
  std::vector<GuestMapping> out;
  const Segments segments{{0x4000, 0x2000, 0}};
  append_mappable(segments, 0, 0x6000, {0x4000, 0x1000, host(0x10000)}, 4096, 1 << 20, out);
  append_mappable(segments, 0, 0x6000, {0x5000, 0x1000, host(0x11000)}, 4096, 1 << 20, out);
  EXPECT_EQ(out, (std::vector<GuestMapping>{{0x4000, 0x2000, host(0x10000)}}));
}

TEST(Mappable, LargePagesAskForLargeAlignment) {
  std::vector<GuestMapping> out;
  const Segments segments{{0x14000, 0x20000, 0}};
  append_mappable(segments, 0, 0x34000, {0x14000, 0x20000, host(0x104000)}, 0x10000, 1 << 20, out);
  EXPECT_EQ(out, (std::vector<GuestMapping>{{0x20000, 0x10000, host(0x110000)}}));
}

TEST(Mappable, NothingWrapsAtTheTopOfSixtyFourBits) {
  std::vector<GuestMapping> out;
  const uint64_t base = UINT64_MAX - 0x7ff;
  const Segments segments{{base, 0x100, 0}};
  append_mappable(segments, 0, base + 0x100, {base, 0x7ff, host(0x10800)}, 4096, UINT64_MAX, out);
  EXPECT_TRUE(out.empty());
}

}  // namespace
}  // namespace passthru
