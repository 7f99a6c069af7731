// SPDX-License-Identifier: MIT
// Tests of the pictures of `passthru bars`: the scale, and that names of devices and spans only
// ever produce text.
#include "tools/bars/bars_picture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <numeric>
#include <string>
#include <vector>

#include "base/size_text.h"
#include "mmap/bar_layout.h"
#include "tools/bars/bars_output.h"
#include "tools/printable.h"

namespace passthru::tools {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::Ge;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

constexpr uint64_t kKiB = 1 << 10;
constexpr uint64_t k4K = 4096;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kTiB = uint64_t{1} << 40;

unsigned sum(const std::vector<unsigned>& widths) {
  return std::accumulate(widths.begin(), widths.end(), 0U);
}

std::vector<unsigned> share(const std::vector<uint64_t>& sizes, Scale scale) {
  return share_out(sizes, scale);
}

TEST(BarsScale, IsTrueWhereNothingIsTooNarrow) {
  EXPECT_THAT(share({8 * kKiB, 4 * kKiB, 4 * kKiB}, {.cells = 100, .least = 2}),
              ElementsAre(50, 25, 25));
}

TEST(BarsScale, APageIn16MiBIsStillSeen) {
  EXPECT_THAT(share({8 * kMiB, 4 * kKiB, 8 * kMiB - 4 * kKiB}, {.cells = 100, .least = 2}),
              ElementsAre(49, 2, 49));
}

TEST(BarsScale, WhatBecomesTooNarrowByOthersIsWidenedToo) {
  // Slightly above the minimum in 100 cells, but below it in the 76 cells that the pages leave.
  EXPECT_THAT(
      share({98202 * kKiB, 4198 * kKiB, k4K, k4K, k4K, k4K, k4K, k4K}, {.cells = 100, .least = 4}),
      ElementsAre(72, 4, 4, 4, 4, 4, 4, 4));
}

struct Shares {
  const char* what;
  std::vector<uint64_t> sizes;
};

TEST(BarsScale, WidthsAddUpAndNoneIsBelowTheLeast) {
  const std::vector<Shares> cases = {
      {"one", {4096}},
      {"thirds", {1, 1, 1}},
      {"nothing", {0, 0}},
      {"the whole address space", {UINT64_MAX, UINT64_MAX, 1}},
      {"a TiB and a page", {kTiB - 4 * kKiB, 4 * kKiB}},
      {"many alike", std::vector<uint64_t>(47, 4096)},
      {"many unlike", {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000}},
  };
  for (const auto& [what, sizes] : cases) {
    for (const unsigned cells : {96U, 97U, 944U}) {
      const auto widths = share_out(sizes, {.cells = cells, .least = 2});
      EXPECT_EQ(sum(widths), cells) << what;
      EXPECT_THAT(widths, Each(Ge(2U))) << what;
    }
  }
}

TEST(BarsScale, WithLittleRoomPiecesAreNarrowerThanTheLeast) {
  const auto widths = share(std::vector<uint64_t>(30, 4096), {.cells = 40, .least = 2});
  EXPECT_EQ(sum(widths), 40U);
  EXPECT_THAT(widths, Each(Ge(1U)));
}

TEST(BarsScale, OfMorePiecesThanCellsTheLargestAreDrawn) {
  EXPECT_THAT(share({1, 5, 2, 9}, {.cells = 2, .least = 2}), ElementsAre(0, 1, 0, 1));
  EXPECT_THAT(share({1, 1, 1, 9}, {.cells = 2, .least = 2}), ElementsAre(1, 0, 0, 1));
  EXPECT_THAT(share({}, {.cells = 10, .least = 1}), IsEmpty());
  EXPECT_THAT(share({7}, {.cells = 0, .least = 1}), ElementsAre(0));
}

TEST(BarsHeat, IsTheShareOfTheHottest) {
  EXPECT_EQ(heat(0, 1000), 0U);
  EXPECT_EQ(heat(9, 1000), 1U);
  EXPECT_EQ(heat(10, 1000), 2U);
  EXPECT_EQ(heat(99, 1000), 2U);
  EXPECT_EQ(heat(100, 1000), 3U);
  EXPECT_EQ(heat(500, 1000), kHottest);
  EXPECT_EQ(heat(1, 150), 1U);
  EXPECT_EQ(heat(UINT64_MAX, UINT64_MAX), kHottest);
  EXPECT_EQ(heat(0, 0), 0U);
}

/// A 16 MiB drive BAR with the table and the pending bits in one page in the middle.
DeviceBars drive() {
  DeviceBars device{.device = {.bus = 1}, .name = "A Drive", .guest_address = Bdf{.device = 3}};
  device.msix = MsixLayout{.vectors = 65, .table_offset = 0x2000, .pba_offset = 0x2800};
  device.bars.push_back(
      {.index = 0,
       .size = 16 * kMiB,
       .is_64bit = true,
       .decoded = true,
       .guest_address = 0xc0000000,
       .spans = {{.offset = 0, .size = 0x2000, .kind = SpanKind::Mapped},
                 {.offset = 0x2000,
                  .size = 0x1000,
                  .kind = SpanKind::MsixTable,
                  .trapped_reads = 5,
                  .trapped_writes = 195},
                 {.offset = 0x3000, .size = 16 * kMiB - 0x3000, .kind = SpanKind::Mapped}}});
  device.host_addresses[0] = 0x4000000000;
  return device;
}

std::vector<Part> parts_of(const BarRow& bar) {
  std::vector<Part> parts;
  for (const Piece& piece : bar.pieces) parts.push_back(piece.part);
  return parts;
}

std::vector<std::string> lines_of(const std::string& text) {
  std::vector<std::string> lines;
  for (size_t at = 0, end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
    lines.push_back(text.substr(at, end - at));
  }
  return lines;
}

TEST(BarsPicture, ATrappedPageIsCutIntoTableBitsAndWhatIsBesideThem) {
  const BarsPicture picture = draw_bars(drive(), {.cells = 96, .least = 2});
  const BarRow& bar = picture.bars.at(0);
  EXPECT_THAT(parts_of(bar), ElementsAre(Part::Mapped, Part::Table, Part::Trapped, Part::Pba,
                                         Part::Trapped, Part::Mapped));
  EXPECT_EQ(bar.pieces[1].offset, 0x2000U);
  EXPECT_EQ(bar.pieces[1].size, 65U * 16);
  EXPECT_EQ(bar.pieces[3].offset, 0x2800U);
  EXPECT_EQ(bar.pieces[3].size, 16U);
  EXPECT_EQ(bar.pieces[5].first + bar.pieces[5].cells, 96U);
  EXPECT_EQ(
      bar.msix,
      "Device's MSI-X table of 65 vectors at 0x2000, 1040 bytes; pending bits at 0x2800, 16 bytes");
}

TEST(BarsPicture, WithoutTheDevicesCapabilityASpanIsWhatItIsTrappedFor) {
  DeviceBars device = drive();
  device.msix.reset();
  EXPECT_THAT(parts_of(draw_bars(device, {.cells = 96}).bars.at(0)),
              ElementsAre(Part::Mapped, Part::Table, Part::Mapped));
}

TEST(BarsPicture, PendingBitsThatAreMappedAreMarkedAsMapped) {
  DeviceBars device = drive();
  device.msix->pba_offset = 0x8000;
  const Piece bits = draw_bars(device, {.cells = 96}).bars.at(0).pieces.at(4);
  EXPECT_EQ(bits.part, Part::Pba);
  EXPECT_TRUE(bits.mapped);
}

TEST(BarsPicture, NoPieceReachesBeyondItsSpan) {
  DeviceBars device = drive();
  device.msix->vectors = 2048;
  const BarRow bar = draw_bars(device, {.cells = 96}).bars.at(0);
  EXPECT_THAT(parts_of(bar), ElementsAre(Part::Mapped, Part::Table, Part::Table, Part::Mapped));
  EXPECT_EQ(bar.pieces[1].size, 0x1000U);
  EXPECT_EQ(bar.pieces[2].size, 0x7000U);
}

TEST(BarsPicture, HeatIsRelativeToTheWholeDevice) {
  DeviceBars device = drive();
  device.bars.push_back({.index = 2, .size = 4096, .spans = {{.size = 4096, .trapped_reads = 2}}});
  const BarsPicture picture = draw_bars(device, {.cells = 96});
  EXPECT_EQ(picture.bars[0].spans[1].heat, kHottest);
  EXPECT_EQ(picture.bars[1].spans[0].heat, 2U);
}

TEST(BarsPicture, OfAnotherUsersVmmNothingIsBelieved) {
  DeviceBars device = drive();
  device.bars = {
      {.index = UINT32_MAX,
       .size = UINT64_MAX,
       .decoded = true,
       .guest_address = UINT64_MAX,
       .spans = {
           {.offset = UINT64_MAX, .size = UINT64_MAX},
           {.offset = 0, .size = 0, .kind = SpanKind::Mapped},
           {.offset = 5, .size = UINT64_MAX, .trapped_reads = UINT64_MAX, .trapped_writes = 1}}}};
  device.bars.push_back({.index = 0, .size = 0});
  device.bars.push_back({.index = 0, .size = 4096, .spans = std::vector<SpanInspection>(5000)});
  for (uint64_t i = 0; i < 5000; ++i) device.bars.back().spans[i] = {.offset = i, .size = 1};
  const BarsPicture picture = draw_bars(device, {.cells = 96, .least = 2});
  EXPECT_EQ(picture.bars[0].spans[2].heat, kHottest);
  EXPECT_EQ(picture.bars[0].pieces.at(0).size, UINT64_MAX - 5);
  EXPECT_EQ(picture.bars[2].undrawn, picture.bars[2].pieces.size() - 96);
  EXPECT_THAT(bars_svg(device), HasSubstr("do not fit into the picture"));
  EXPECT_EQ(bars_json(device)["bars"].size(), 3U);
  for (const std::string& line : lines_of(bars_text(device, {.columns = 24})))
    ASSERT_LE(columns_of(line), 24U) << line;
}

TEST(BarsText, IsThePictureAndTheList) {
  EXPECT_THAT(
      bars_text(drive(), {.columns = 80}),
      HasSubstr("BAR 0: memory, 64-bit, non-prefetchable, 16 MiB\n"
                "  host 0x4000000000, guest 0xc0000000\n"
                "  |==TT##PP##==================================================================|\n"
                "     0x2000  0x3000                                                    0x1000000\n"
                "  Device's MSI-X table of 65 vectors at 0x2000, 1040 bytes; pending bits at\n"
                "  0x2800, 16 bytes\n"
                "     OFFSET       SIZE  ACCESS   READS  WRITES  HEAT  WHY\n"
                "  =  0x0         8 KiB  mapped       -       -\n"
                "  T  0x2000      4 KiB  trapped      5     195  ****  page of the MSI-X table\n"
                "  =  0x3000  16372 KiB  mapped       -       -\n"));
}

TEST(BarsText, OfADeviceWithoutBarsSaysSo) {
  DeviceBars device{.name = "A bridge", .plan = true};
  EXPECT_EQ(bars_text(device, {}), "0000:00:00.0  A bridge\nIt has no BARs.\n");
  EXPECT_THAT(bars_svg(device), HasSubstr("It has no BARs."));
  EXPECT_EQ(bars_json(device)["bars"].size(), 0U);
}

TEST(BarsText, IoPortsAndRomSayWhatTheyAre) {
  DeviceBars device{.plan = true};
  device.bars = {
      {.index = 4, .size = 32, .io = true, .spans = {{.size = 32, .kind = SpanKind::IoPorts}}},
      {.index = 6, .size = 64 * kKiB, .spans = {{.size = 64 * kKiB, .kind = SpanKind::Rom}}}};
  device.host_addresses[4] = 0xc040;
  const std::string text = bars_text(device, {});
  EXPECT_THAT(text, HasSubstr("BAR 4: I/O ports, 32 bytes\n  host 0xc040\n"));
  EXPECT_THAT(text, HasSubstr("32 bytes  trapped  I/O ports cannot be mapped\n"));
  EXPECT_THAT(text, HasSubstr("Expansion ROM: memory, 32-bit, 64 KiB\n  no host address\n"));
}

TEST(BarsText, ATebibyteIsDrawnAsAnyOther) {
  DeviceBars device = drive();
  device.bars[0].size = kTiB;
  device.bars[0].spans[2].size = kTiB - 0x3000;
  const std::string text = bars_text(device, {.columns = 80});
  EXPECT_THAT(text, HasSubstr("non-prefetchable, 1 TiB\n"));
  EXPECT_THAT(text, HasSubstr("|==TT##PP##====="));
  EXPECT_THAT(text, HasSubstr(" 0x10000000000\n"));
}

TEST(BarsText, WhatIsNotKnownIsNotDrawnAsMapped) {
  DeviceBars device{.plan = true};
  device.bars = {{.index = 0, .size = 4096}};
  const std::string text = bars_text(device, {.columns = 40});
  EXPECT_THAT(text, HasSubstr("|" + std::string(36, '?') + "|"));
  EXPECT_THAT(text, HasSubstr("not known"));
  EXPECT_THAT(text, Not(HasSubstr("mapped")));
}

TEST(BarsText, NoLineIsWiderThanTheTerminal) {
  DeviceBars device = drive();
  device.name = std::string(300, 'x') + " and \xe4\xb8\x96\xe7\x95\x8c";
  device.notes = {"A sentence of a good many words, none of which is longer than the others are"};
  device.bars[0].spans[1].kind = SpanKind::NotOffered;  // the longest reason
  for (const unsigned columns : {24U, 40U, 80U, 100U, 132U, 250U}) {
    for (const std::string& line : lines_of(bars_text(device, {.columns = columns})))
      EXPECT_LE(columns_of(line), columns) << line;
  }
}

TEST(BarsText, ColourIsThereIfAskedFor) {
  EXPECT_THAT(bars_text(drive(), {}), Not(HasSubstr("\x1b")));
  const std::string coloured = bars_text(drive(), {.columns = 80, .colour = true});
  EXPECT_THAT(coloured, HasSubstr("\x1b[1;31mTT\x1b[0m"));
  EXPECT_THAT(coloured, HasSubstr("\x1b[36m==\x1b[0m"));
}

TEST(BarsOutput, HostileNamesAreText) {
  DeviceBars device = drive();
  device.name =
      "</text><script>alert(1)</script> & \"'\x1b[2J\x07\xc2\x9b\xff\r\n\xe2\x80\xae"
      "x";
  device.notes = {"<&>\x1b]0;title\x07"};
  const std::string text = bars_text(device, {});
  EXPECT_THAT(text, Not(HasSubstr("\x1b")));
  EXPECT_THAT(text, Not(HasSubstr("\x07")));
  EXPECT_THAT(text, Not(HasSubstr("\xc2\x9b")));
  EXPECT_THAT(text, Not(HasSubstr("\r")));
  EXPECT_THAT(text, HasSubstr("\"'?[2J?????????x"));

  const std::string svg = bars_svg(device);
  EXPECT_THAT(svg, Not(HasSubstr("<script")));
  EXPECT_THAT(svg, Not(HasSubstr("\x1b")));
  EXPECT_THAT(svg, HasSubstr("&lt;/text&gt;&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;"));
  EXPECT_THAT(svg, HasSubstr("&lt;&amp;&gt;?]0;title?"));
}

TEST(BarsSvg, HasThePiecesWithTheirHatchesAndHeat) {
  const std::string svg = bars_svg(drive());
  EXPECT_THAT(svg, HasSubstr("<title>0x2000, 1040 bytes: MSI-X table</title>"));
  EXPECT_THAT(svg, HasSubstr("<title>0x2800, 16 bytes: pending bits</title>"));
  EXPECT_THAT(svg, HasSubstr("fill=\"url(#table)\""));
  EXPECT_THAT(svg, HasSubstr("fill=\"url(#pba)\""));
  EXPECT_THAT(svg, HasSubstr("fill=\"#c22f1e\"><title>0x2000"));  // the most accessed page
  EXPECT_THAT(svg, HasSubstr("0000:01:00.0  A Drive</text>"));
}

TEST(BarsSvg, PendingBitsThatAreMappedHaveTheColourOfTheMapped) {
  DeviceBars device = drive();
  device.msix->pba_offset = 0x8000;
  EXPECT_THAT(bars_svg(device),
              HasSubstr("fill=\"#9cc3e6\"><title>0x8000, 16 bytes: pending bits</title>"));
}

TEST(BarsJson, IsAsDocumented) {
  const Json json = bars_json(drive());
  EXPECT_EQ(json["device"], "0000:01:00.0");
  EXPECT_EQ(json["plan"], false);
  EXPECT_EQ(json["guest"], "0000:00:03.0");
  EXPECT_EQ(json["msix"]["pba"]["offset"], 0x2800);
  const Json& bar = json["bars"][0];
  EXPECT_EQ(bar["host_address"], 0x4000000000);
  EXPECT_EQ(bar["guest_address"], 0xc0000000);
  EXPECT_EQ(bar["rom"], false);
  EXPECT_EQ(bar["spans"][0]["why"], nullptr);
  EXPECT_EQ(bar["spans"][1]["why"], "page of the MSI-X table");
  EXPECT_EQ(bar["spans"][1]["trapped_writes"], 195);
  EXPECT_EQ(bar["spans"][1]["heat"], 4);
}

TEST(BarsJson, OfAPlanHasNoCounts) {
  DeviceBars device = drive();
  device.plan = true;
  device.bars[0].decoded = false;
  const Json bar = bars_json(device)["bars"][0];
  EXPECT_EQ(bar["guest_address"], nullptr);
  EXPECT_EQ(bar["spans"][1]["trapped_reads"], nullptr);
  EXPECT_EQ(bar["spans"][1]["heat"], nullptr);
}

TEST(Printable, KeepsLettersOfAnyScript) {
  EXPECT_EQ(printable("Gerät 世界 \xf0\x9f\x98\x80"), "Gerät 世界 \xf0\x9f\x98\x80");
  EXPECT_EQ(printable("\xc0\xaf \xed\xa0\x80 \xef\xbf\xbf \xe4\xb8"), "?? ??? ??? ??");
  EXPECT_EQ(printable("\xe0\x80\xaf"), "???");  // an overlong encoding of '/'
  EXPECT_EQ(printable(std::string_view("\xe4\xb8\x96", 2)), "??");
  EXPECT_EQ(columns_of("Gerät 世界"), 10U);
}

TEST(Wrapped, BreaksBetweenWordsAndGoesOnIndented) {
  EXPECT_THAT(wrapped("one two three four", 10, 2), ElementsAre("one two", "  three", "  four"));
  EXPECT_THAT(wrapped("abcdefghijklmnop", 8, 6), ElementsAre("abcdefgh", "    ijkl", "    mnop"));
  EXPECT_THAT(wrapped("", 10), ElementsAre(""));
}

}  // namespace
}  // namespace passthru::tools
