// SPDX-License-Identifier: MIT
// The layout of a BAR in mapped and trapped spans, also of random BARs.
#include <gtest/gtest.h>

#include <array>
#include <random>

#include "tests/unit/mmap/bar_layout_cases.h"

namespace passthru {
namespace {

TEST_P(BarLayout, Is) {
  const BarLayoutCase& test = GetParam();
  EXPECT_EQ(layout_bar({.size = test.size,
                        .region = test.region,
                        .page_size = test.page_size,
                        .trapped = test.ranges,
                        .forbidden = test.forbidden}),
            test.spans);
}

INSTANTIATE_TEST_SUITE_P(
    Whole, BarLayout,
    testing::Values(
        BarLayoutCase{"Plain", k16K, mappable(k16K), {}, {mapped(0, k16K)}},
        BarLayoutCase{
            "NoMmapFlag", k16K, unmappable(k16K), {}, {trapped(0, k16K, Span::NotOffered)}},
        BarLayoutCase{"NoMmapFlagButATable",
                      k16K,
                      unmappable(k16K),
                      {kTable},
                      {trapped(0, 0x2000, Span::NotOffered), trapped(0x2000, k4K, Span::MsixTable),
                       trapped(0x3000, k4K, Span::NotOffered)}},
        BarLayoutCase{"Excluded",
                      k16K,
                      mappable(k16K),
                      {},
                      {trapped(0, k16K, Span::Excluded)},
                      k4K,
                      Span::Excluded},
        BarLayoutCase{
            "IoPorts", 32, unmappable(32), {}, {trapped(0, 32, Span::IoPorts)}, k4K, Span::IoPorts},
        BarLayoutCase{
            "Rom", k64K, unmappable(k64K), {}, {trapped(0, k64K, Span::Rom)}, k4K, Span::Rom},
        BarLayoutCase{"RegionSmallerThanTheBar",
                      0x8000,
                      mappable(0x6000),
                      {},
                      {mapped(0, 0x6000), trapped(0x6000, 0x2000, Span::BeyondEnd)}},
        BarLayoutCase{"NoRegionAtAll", k4K, RegionInfo{}, {}, {trapped(0, k4K, Span::BeyondEnd)}},
        BarLayoutCase{"RegionEndsWithinAPage",
                      0x8000,
                      mappable(0x5800),
                      {},
                      {mapped(0, 0x5000), trapped(0x5000, 0x800, Span::PartialPage),
                       trapped(0x5800, 0x2800, Span::BeyondEnd)}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    SparseAreas, BarLayout,
    testing::Values(BarLayoutCase{"Two",
                                  0x8000,
                                  mappable(0x8000, {{0, 0x2000}, {0x4000, 0x4000}}),
                                  {},
                                  {mapped(0, 0x2000), trapped(0x2000, 0x2000, Span::OutsideArea),
                                   mapped(0x4000, 0x4000)}},
                    BarLayoutCase{"CutByTheTableButMappedAsGiven",
                                  0x8000,
                                  mappable(0x8000, {{0, 0x8000}}),
                                  {kTable},
                                  {{0, 0x2000, Span::Mapped, {0, 0x8000}},
                                   trapped(0x2000, k4K, Span::MsixTable),
                                   {0x3000, 0x5000, Span::Mapped, {0, 0x8000}}}},
                    BarLayoutCase{"NeighboursStayApart",
                                  0x4000,
                                  mappable(0x4000, {{0, 0x2000}, {0x2000, 0x2000}}),
                                  {},
                                  {mapped(0, 0x2000), mapped(0x2000, 0x2000)}},
                    BarLayoutCase{"NotWholePages",
                                  0x4000,
                                  mappable(0x4000, {{0x1000, 0x1800}}),
                                  {},
                                  {trapped(0, 0x1000, Span::OutsideArea),
                                   {0x1000, 0x1000, Span::Mapped, {0x1000, 0x1800}},
                                   trapped(0x2000, 0x800, Span::PartialPage),
                                   trapped(0x2800, 0x1800, Span::OutsideArea)}},
                    BarLayoutCase{"NotAtAPage",
                                  0x4000,
                                  mappable(0x4000, {{0x800, 0x2000}}),
                                  {},
                                  {trapped(0, 0x800, Span::OutsideArea),
                                   trapped(0x800, 0x2000, Span::PartialPage),
                                   trapped(0x2800, 0x1800, Span::OutsideArea)}},
                    BarLayoutCase{"BeyondTheRegion",
                                  0x4000,
                                  mappable(0x4000, {{0x4000, 0x1000}}),
                                  {},
                                  {trapped(0, 0x4000, Span::OutsideArea)}},
                    BarLayoutCase{"EmptyArea",
                                  0x4000,
                                  mappable(0x4000, {{0x1000, 0}}),
                                  {},
                                  {trapped(0, 0x4000, Span::OutsideArea)}}),
    [](const auto& test) { return test.param.name; });

INSTANTIATE_TEST_SUITE_P(
    SmallBars, BarLayout,
    testing::Values(
        BarLayoutCase{"MappableMeansAloneInItsPage", 256, mappable(256), {}, {mapped(0, 256)}},
        BarLayoutCase{"ShortOfItsBar",
                      256,
                      mappable(192),
                      {},
                      {trapped(0, 192, Span::PartialPage), trapped(192, 64, Span::BeyondEnd)}},
        BarLayoutCase{
            "SharingItsPage", 256, unmappable(256), {}, {trapped(0, 256, Span::NotOffered)}},
        BarLayoutCase{"WithATable",
                      256,
                      mappable(256),
                      {{128, 16, Span::MsixTable}},
                      {trapped(0, 256, Span::MsixTable)}}),
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
      ranges.push_back({random() % (size - length + 1), length,
                        random() % 2 == 0 ? Span::MsixTable : Span::MsixPba});
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
  for (const SpanKind kind :
       {Span::MsixTable, Span::MsixPba, Span::Excluded, Span::IoPorts, Span::Rom, Span::NotOffered,
        Span::OutsideArea, Span::PartialPage, Span::BeyondEnd, Span::Refused}) {
    EXPECT_STRNE(trap_reason(kind), "");
  }
  EXPECT_STREQ(trap_reason(Span::Mapped), "");
}

}  // namespace
}  // namespace passthru
