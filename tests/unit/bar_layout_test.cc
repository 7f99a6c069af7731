// SPDX-License-Identifier: MIT
#include "mmap/bar_layout.h"

#include <gtest/gtest.h>

#include <array>
#include <ostream>
#include <random>
#include <string>

namespace passthru {

void PrintTo(const BarSpan& span, std::ostream* out) {
  *out << std::hex << "[" << span.offset << "+" << span.size << " " << why(span.kind) << " area "
       << span.area.offset << "+" << span.area.size << "]";
}

namespace {

using enum SpanKind;

constexpr uint64_t k4K = 0x1000;
constexpr uint64_t k16K = 0x4000;
constexpr uint64_t k64K = 0x10000;

/// A span that is mapped by itself.
BarSpan mapped(uint64_t offset, uint64_t size) {
  return {offset, size, Mapped, {offset, size}};
}
BarSpan trapped(uint64_t offset, uint64_t size, SpanKind kind) {
  return {offset, size, kind, {}};
}

RegionInfo mappable(uint64_t size, std::vector<MapArea> sparse = {}) {
  RegionInfo info;
  info.size = size;
  info.readable = info.writable = info.mappable = true;
  info.sparse = std::move(sparse);
  return info;
}

RegionInfo unmappable(uint64_t size) {
  RegionInfo info = mappable(size);
  info.mappable = false;
  return info;
}

/// VFIO_REGION_INFO_CAP_MSIX_MAPPABLE: the kernel leaves it to us.
RegionInfo table_mappable(uint64_t size) {
  RegionInfo info = mappable(size);
  info.msix_mappable = true;
  return info;
}

struct Case {
  std::string name;
  uint64_t size;
  RegionInfo region;
  std::vector<TrappedRange> ranges;
  std::vector<BarSpan> spans;
  uint64_t page_size = k4K;
  SpanKind forbidden = Mapped;
};

class BarLayout : public testing::TestWithParam<Case> {};

TEST_P(BarLayout, Is) {
  const Case& test = GetParam();
  EXPECT_EQ(layout_bar({.size = test.size,
                        .region = test.region,
                        .page_size = test.page_size,
                        .trapped = test.ranges,
                        .forbidden = test.forbidden}),
            test.spans);
}

const TrappedRange kTable{0x2000, 65 * 16, MsixTable};
const TrappedRange kPba{0x3000, 16, MsixPba};

INSTANTIATE_TEST_SUITE_P(
    Whole, BarLayout,
    testing::Values(
        Case{"Plain", k16K, mappable(k16K), {}, {mapped(0, k16K)}},
        Case{"NoMmapFlag", k16K, unmappable(k16K), {}, {trapped(0, k16K, NotOffered)}},
        Case{"NoMmapFlagButATable",
             k16K,
             unmappable(k16K),
             {kTable},
             {trapped(0, 0x2000, NotOffered), trapped(0x2000, k4K, MsixTable),
              trapped(0x3000, k4K, NotOffered)}},
        Case{"Excluded", k16K, mappable(k16K), {}, {trapped(0, k16K, Excluded)}, k4K, Excluded},
        Case{"IoPorts", 32, unmappable(32), {}, {trapped(0, 32, IoPorts)}, k4K, IoPorts},
        Case{"Rom", k64K, unmappable(k64K), {}, {trapped(0, k64K, Rom)}, k4K, Rom},
        Case{"RegionSmallerThanTheBar",
             0x8000,
             mappable(0x6000),
             {},
             {mapped(0, 0x6000), trapped(0x6000, 0x2000, BeyondEnd)}},
        Case{"NoRegionAtAll", k4K, RegionInfo{}, {}, {trapped(0, k4K, BeyondEnd)}},
        Case{"RegionEndsWithinAPage",
             0x8000,
             mappable(0x5800),
             {},
             {mapped(0, 0x5000), trapped(0x5000, 0x800, PartialPage),
              trapped(0x5800, 0x2800, BeyondEnd)}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    Holes, BarLayout,
    testing::Values(
        Case{"TableAndPbaInOneBar",
             k16K,
             mappable(k16K),
             {kTable, kPba},
             {mapped(0, 0x2000), trapped(0x2000, k4K, MsixTable), trapped(0x3000, k4K, MsixPba)}},
        Case{"TableAtTheStart",
             k16K,
             mappable(k16K),
             {{0, 16, MsixTable}},
             {trapped(0, k4K, MsixTable), mapped(0x1000, 0x3000)}},
        Case{"PbaInTheTablesPage",
             k16K,
             mappable(k16K),
             {{0x2000, 0x100, MsixTable}, {0x2800, 8, MsixPba}},
             {mapped(0, 0x2000), trapped(0x2000, k4K, MsixTable), mapped(0x3000, 0x1000)}},
        Case{"TableStraddlesAPage",
             k16K,
             mappable(k16K),
             {{0x1ff0, 0x20, MsixTable}},
             {mapped(0, 0x1000), trapped(0x1000, 0x2000, MsixTable), mapped(0x3000, 0x1000)}},
        Case{"UnalignedTableEndsJustInTheNextPage",
             k16K,
             mappable(k16K),
             {{0x1808, 0x800, MsixTable}},
             {mapped(0, 0x1000), trapped(0x1000, 0x2000, MsixTable), mapped(0x3000, 0x1000)}},
        Case{"TableEndsAtTheBarsEnd",
             k16K,
             mappable(k16K),
             {{0x3ff0, 16, MsixTable}},
             {mapped(0, 0x3000), trapped(0x3000, k4K, MsixTable)}},
        Case{"TableFillsTheBar",
             k4K,
             mappable(k4K),
             {{0, k4K, MsixTable}},
             {trapped(0, k4K, MsixTable)}},
        Case{"ATableOfManyPages",
             k64K,
             mappable(k64K),
             {{0x4000, 2048 * 16, MsixTable}},
             {mapped(0, 0x4000), trapped(0x4000, 0x8000, MsixTable), mapped(0xc000, 0x4000)}},
        Case{"TwoHolesThatTouchAreOneOfAKind",
             k16K,
             mappable(k16K),
             {{0x1000, 16, MsixTable}, {0x2000, 16, MsixTable}},
             {mapped(0, 0x1000), trapped(0x1000, 0x2000, MsixTable), mapped(0x3000, 0x1000)}},
        Case{"PbaInABarOfItsOwn",
             k16K,
             mappable(k16K),
             {{0x2000, 16, MsixPba}},
             {mapped(0, 0x2000), trapped(0x2000, k4K, MsixPba), mapped(0x3000, 0x1000)}},
        Case{"PbaStraddlesAPage",
             k16K,
             mappable(k16K),
             {{0xff8, 16, MsixPba}},
             {trapped(0, 0x2000, MsixPba), mapped(0x2000, 0x2000)}},
        Case{"PbaRightBehindTheTableInTheNextPage",
             k16K,
             mappable(k16K),
             {{0xf00, 0x100, MsixTable}, {0x1000, 8, MsixPba}},
             {trapped(0, k4K, MsixTable), trapped(0x1000, k4K, MsixPba), mapped(0x2000, 0x2000)}},
        Case{"TheKernelWouldMapTheTable",
             k16K,
             table_mappable(k16K),
             {kTable},
             {mapped(0, 0x2000), trapped(0x2000, k4K, MsixTable), mapped(0x3000, 0x1000)}},
        Case{"ExcludedWithATable",
             k16K,
             mappable(k16K),
             {kTable},
             {trapped(0, 0x2000, Excluded), trapped(0x2000, k4K, MsixTable),
              trapped(0x3000, k4K, Excluded)},
             k4K,
             Excluded},
        Case{"AHoleThatTheRegionDoesNotReach",
             0x8000,
             mappable(0x4000),
             {{0x4000, 0x400, MsixTable}},
             {mapped(0, 0x4000), trapped(0x4000, k4K, MsixTable),
              trapped(0x5000, 0x3000, BeyondEnd)}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    SparseAreas, BarLayout,
    testing::Values(Case{"Two",
                         0x8000,
                         mappable(0x8000, {{0, 0x2000}, {0x4000, 0x4000}}),
                         {},
                         {mapped(0, 0x2000), trapped(0x2000, 0x2000, OutsideArea),
                          mapped(0x4000, 0x4000)}},
                    Case{"CutByTheTableButMappedAsGiven",
                         0x8000,
                         mappable(0x8000, {{0, 0x8000}}),
                         {kTable},
                         {{0, 0x2000, Mapped, {0, 0x8000}},
                          trapped(0x2000, k4K, MsixTable),
                          {0x3000, 0x5000, Mapped, {0, 0x8000}}}},
                    Case{"NeighboursStayApart",
                         0x4000,
                         mappable(0x4000, {{0, 0x2000}, {0x2000, 0x2000}}),
                         {},
                         {mapped(0, 0x2000), mapped(0x2000, 0x2000)}},
                    Case{"NotWholePages",
                         0x4000,
                         mappable(0x4000, {{0x1000, 0x1800}}),
                         {},
                         {trapped(0, 0x1000, OutsideArea),
                          {0x1000, 0x1000, Mapped, {0x1000, 0x1800}},
                          trapped(0x2000, 0x800, PartialPage),
                          trapped(0x2800, 0x1800, OutsideArea)}},
                    Case{"NotAtAPage",
                         0x4000,
                         mappable(0x4000, {{0x800, 0x2000}}),
                         {},
                         {trapped(0, 0x800, OutsideArea), trapped(0x800, 0x2000, PartialPage),
                          trapped(0x2800, 0x1800, OutsideArea)}},
                    Case{"BeyondTheRegion",
                         0x4000,
                         mappable(0x4000, {{0x4000, 0x1000}}),
                         {},
                         {trapped(0, 0x4000, OutsideArea)}},
                    Case{"EmptyArea",
                         0x4000,
                         mappable(0x4000, {{0x1000, 0}}),
                         {},
                         {trapped(0, 0x4000, OutsideArea)}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    SmallBars, BarLayout,
    testing::Values(Case{"MappableMeansAloneInItsPage", 256, mappable(256), {}, {mapped(0, 256)}},
                    Case{"ShortOfItsBar",
                         256,
                         mappable(192),
                         {},
                         {trapped(0, 192, PartialPage), trapped(192, 64, BeyondEnd)}},
                    Case{"SharingItsPage", 256, unmappable(256), {}, {trapped(0, 256, NotOffered)}},
                    Case{"WithATable",
                         256,
                         mappable(256),
                         {{128, 16, MsixTable}},
                         {trapped(0, 256, MsixTable)}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    LargePages, BarLayout,
    testing::Values(
        Case{"TableTakes16KiB",
             k64K,
             mappable(k64K),
             {kTable},
             {trapped(0, k16K, MsixTable), mapped(k16K, k64K - k16K)},
             k16K},
        Case{"TableTakes64KiB",
             2 * k64K,
             mappable(2 * k64K),
             {kTable},
             {trapped(0, k64K, MsixTable), mapped(k64K, k64K)},
             k64K},
        Case{"TableStraddlesA16KiBPage",
             k64K,
             mappable(k64K),
             {{0x3ff0, 0x20, MsixTable}},
             {trapped(0, 2 * k16K, MsixTable), mapped(2 * k16K, 2 * k16K)},
             k16K},
        Case{"TableEndsAtTheEndOfA64KiBPage",
             2 * k64K,
             mappable(2 * k64K),
             {{k64K - 16, 16, MsixTable}},
             {trapped(0, k64K, MsixTable), mapped(k64K, k64K)},
             k64K},
        Case{"TableEndsAtTheBarsEndWith64KiBPages",
             2 * k64K,
             mappable(2 * k64K),
             {{2 * k64K - 16, 16, MsixTable}},
             {mapped(0, k64K), trapped(k64K, k64K, MsixTable)},
             k64K},
        Case{"ASubPageBarThatIsNotOffered",
             k16K,
             unmappable(k16K),
             {},
             {trapped(0, k16K, NotOffered)},
             k64K},
        Case{"A16KiBBarIsSmallerThanA64KiBPage", k16K, mappable(k16K), {}, {mapped(0, k16K)}, k64K},
        Case{"AndItsTableTakesIt",
             k16K,
             mappable(k16K),
             {kTable},
             {trapped(0, k16K, MsixTable)},
             k64K},
        Case{"PbaOfTheSamePageIsTheTables",
             2 * k64K,
             mappable(2 * k64K),
             {kTable, kPba},
             {trapped(0, k64K, MsixTable), mapped(k64K, k64K)},
             k64K}),
    [](const auto& test) { return test.param.name; });

TEST(BarLayoutRandom, CoversTheBarAndNeverMapsAByteOfATrappedPage) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 5000; ++round) {
    const uint64_t page = std::array{k4K, k16K, k64K}[random() % 3];
    const uint64_t size = uint64_t{16} << random() % 16;
    RegionInfo region = mappable(random() % 4 == 0 ? random() % size + 1 : size);
    for (uint64_t at = 0, areas = random() % 4; areas > 0 && at < size; --areas) {
      const uint64_t length = random() % size + 1;
      region.sparse.push_back({at, length});
      at += length + random() % size;
    }
    std::vector<TrappedRange> ranges;
    for (uint64_t left = random() % 3; left > 0; --left) {
      const uint64_t length = random() % size + 1;
      ranges.push_back(
          {random() % (size - length + 1), length, random() % 2 == 0 ? MsixTable : MsixPba});
    }
    uint64_t end = 0;
    for (const BarSpan& span :
         layout_bar({.size = size, .region = region, .page_size = page, .trapped = ranges})) {
      ASSERT_EQ(span.offset, end) << "no gap, no overlap";
      ASSERT_NE(span.size, 0U);
      end = span.offset + span.size;
      if (!span.mapped()) continue;
      ASSERT_LE(end, region.size);
      ASSERT_TRUE(span.area.offset <= span.offset && end <= span.area.offset + span.area.size);
      ASSERT_TRUE((span.offset % page == 0 && span.size % page == 0) || span.size == size);
      for (const TrappedRange& range : ranges) {
        const uint64_t first = range.offset / page;
        const uint64_t last = (range.offset + range.size - 1) / page;
        ASSERT_TRUE((end - 1) / page < first || span.offset / page > last);
      }
    }
    ASSERT_EQ(end, size);
  }
}

TEST(BarLayoutReasons, EveryReasonToTrapIsSaid) {
  for (const SpanKind kind : {MsixTable, MsixPba, Excluded, IoPorts, Rom, NotOffered, OutsideArea,
                              PartialPage, BeyondEnd, Refused}) {
    EXPECT_STRNE(why(kind), "");
  }
  EXPECT_STREQ(why(Mapped), "");
}

}  // namespace
}  // namespace passthru
