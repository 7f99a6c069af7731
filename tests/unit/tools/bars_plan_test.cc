// SPDX-License-Identifier: MIT
// Tests of the planned BARs of a device that no guest has, from sysfs.
#include "tools/bars/bars_plan.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <string>

#include "mmap/bar_layout.h"

namespace passthru::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr uint64_t kPage = 4096;

// The resources of a drive with ports and a ROM, as Linux prints them.
constexpr const char* kResources =
    "0x0000004000000000 0x0000004000003fff 0x0000000000140204\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x00000000fe000000 0x00000000fe0001ff 0x0000000000042208\n"
    "0x000000000000c040 0x000000000000c05f 0x0000000000040101\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n"
    "0x0000000000000000 0x0000000000000fff 0x0000000020040200\n"
    "0x00000000fe040000 0x00000000fe07ffff 0x0000000000046200\n"
    "0x0000000000000000 0x0000000000000000 0x0000000000000000\n";

constexpr MsixLayout kMsix{.vectors = 64, .table_offset = 0x1000, .pba_offset = 0x3000};

std::vector<std::pair<uint64_t, SpanKind>> spans_of(const BarInspection& bar) {
  std::vector<std::pair<uint64_t, SpanKind>> spans;
  for (const SpanInspection& span : bar.spans) spans.emplace_back(span.offset, span.kind);
  return spans;
}

TEST(BarsPlan, ReadsWhatLinuxPrints) {
  const HostBars bars = parse_resources(kResources);
  EXPECT_EQ(bars[0], (HostBar{{.size = 0x4000, .is_64bit = true}, 0x4000000000}));
  EXPECT_EQ(bars[1], HostBar{});
  EXPECT_EQ(bars[2], (HostBar{{.size = 0x200, .prefetchable = true}, 0xfe000000}));
  EXPECT_EQ(bars[3], (HostBar{{.size = 32, .io = true}, 0xc040}));
  EXPECT_EQ(bars[5], (HostBar{{.size = 0x1000}, std::nullopt}));  // no address assigned
  EXPECT_EQ(bars[6], (HostBar{{.size = 0x40000, .prefetchable = true}, 0xfe040000}));
}

TEST(BarsPlan, WhatMakesNoSenseIsNoBar) {
  for (const char* text :
       {"", "\n\n", "x y z\n", "0x2000 0xfff 0x200\n", "0x1000\n", "0x0 0xfff 0x0\n",
        "0x0 0xffffffffffffffff 0x200\n", "0x0 0x1ffffffffffffffffff 0x200\n"}) {
    EXPECT_EQ(parse_resources(text), HostBars{}) << text;
  }
}

TEST(BarsPlan, TrapsWhatAGuestWouldFindTrapped) {
  const auto bars = plan_bars(parse_resources(kResources), kMsix, kPage);
  ASSERT_THAT(bars, SizeIs(5));
  EXPECT_THAT(
      spans_of(bars[0]),
      ElementsAre(std::pair(0, SpanKind::Mapped), std::pair(0x1000, SpanKind::MsixTable),
                  std::pair(0x2000, SpanKind::Mapped), std::pair(0x3000, SpanKind::MsixPba)));
  EXPECT_THAT(spans_of(bars[1]), ElementsAre(std::pair(0, SpanKind::Mapped)));  // begins its page
  EXPECT_THAT(spans_of(bars[2]), ElementsAre(std::pair(0, SpanKind::IoPorts)));
  EXPECT_THAT(spans_of(bars[3]), ElementsAre(std::pair(0, SpanKind::Mapped)));
  EXPECT_EQ(bars[4].index, kRomBar);
  EXPECT_THAT(spans_of(bars[4]), ElementsAre(std::pair(0, SpanKind::Rom)));
}

TEST(BarsPlan, ASmallBarInTheMiddleOfAPageIsNotMapped) {
  const auto bars = plan_bars(parse_resources("0xfe000200 0xfe0003ff 0x200\n"), {}, kPage);
  EXPECT_THAT(spans_of(bars.at(0)), ElementsAre(std::pair(0, SpanKind::NotOffered)));
}

TEST(BarsPlan, WithoutTheCapabilityMemoryIsNotTold) {
  const auto bars = outline_bars(parse_resources(kResources), kPage);
  ASSERT_THAT(bars, SizeIs(5));
  EXPECT_THAT(bars[0].spans, IsEmpty());
  EXPECT_THAT(bars[1].spans, IsEmpty());
  EXPECT_THAT(bars[2].spans, SizeIs(1));
  EXPECT_THAT(bars[4].spans, SizeIs(1));
}

TEST(BarsPlan, AHostileCapabilityIsNotUsable) {
  const HostBars bars = parse_resources(kResources);
  EXPECT_EQ(guests_msix(bars, kMsix, kPage), kMsix);
  MsixLayout beyond = kMsix;
  beyond.table_offset = 0x3ff0;
  EXPECT_FALSE(guests_msix(bars, beyond, kPage));
  MsixLayout overlapping = kMsix;
  overlapping.pba_offset = 0x13f8;
  EXPECT_FALSE(guests_msix(bars, overlapping, kPage));
  MsixLayout in_ports{.vectors = 1, .table_bar = 3};
  EXPECT_FALSE(guests_msix(bars, in_ports, kPage));
  MsixLayout adjacent = kMsix;
  adjacent.pba_offset = 0x1400;
  EXPECT_EQ(guests_msix(bars, adjacent, kPage), adjacent);
}

TEST(BarsPlan, Case9PendingBitsThatTheDeviceLacksGetABarOfTheirOwn) {
  const HostBars host = parse_resources(kResources);
  MsixLayout nowhere = kMsix;
  nowhere.pba_bar = 1;
  const auto msix = guests_msix(host, nowhere, kPage);
  ASSERT_TRUE(msix);
  EXPECT_FALSE(msix->has_pba);
  const auto bars = plan_bars(host, msix, kPage);
  ASSERT_THAT(bars, SizeIs(6));
  EXPECT_THAT(spans_of(bars[0]),
              ElementsAre(std::pair(0U, SpanKind::Mapped), std::pair(0x1000U, SpanKind::MsixTable),
                          std::pair(0x2000U, SpanKind::Mapped)));
  EXPECT_EQ(bars[3].index, 4U);
  EXPECT_EQ(bars[3].size, kPage);
  EXPECT_THAT(spans_of(bars[3]), ElementsAre(std::pair(0U, SpanKind::MsixPba)));
}

}  // namespace
}  // namespace passthru::tools
