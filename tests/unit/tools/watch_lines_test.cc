// SPDX-License-Identifier: MIT
// Tests of the lines of `passthru msix watch`, made from two samples.
#include "tools/msix/watch_lines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace passthru::tools {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

WatchSample at(int seconds, std::vector<WatchedVector> vectors) {
  return {.time = std::chrono::steady_clock::time_point(std::chrono::seconds(seconds)),
          .vectors = std::move(vectors)};
}

std::vector<unsigned> order_of(const std::vector<WatchLine>& lines) {
  std::vector<unsigned> order;
  for (const WatchLine& line : lines) order.push_back(line.index);
  return order;
}

TEST(WatchLines, RatesAreOfTheTimeBetweenTheLooks) {
  const auto lines = compare(at(10, {{.index = 0, .count = 100}, {.index = 1, .count = 7}}),
                             at(12, {{.index = 0, .count = 110}, {.index = 1, .count = 7}}), {},
                             WatchOrder::Vector);
  EXPECT_EQ(lines[0].rate, 5);
  EXPECT_EQ(lines[1].rate, 0);
  EXPECT_EQ(lines[0].count, 110U);
}

TEST(WatchLines, AVectorThatIsNewOrWhoseCountBeganAnewCountsFromZero) {
  const auto lines =
      compare(at(0, {{.index = 0, .count = 100}}),
              at(1, {{.index = 0, .count = 3}, {.index = 1, .count = 4}}), {}, WatchOrder::Vector);
  EXPECT_EQ(lines[0].rate, 3);
  EXPECT_EQ(lines[1].rate, 4);
}

TEST(WatchLines, AreSortedAsWanted) {
  LatencyBuckets slow{};
  slow[20] = 1;
  LatencyBuckets quick{};
  quick[3] = 1;
  const auto before = at(0, {});
  const auto now = at(1, {{.index = 0, .count = 1},
                          {.index = 1, .count = 9, .latency = quick},
                          {.index = 2, .count = 5, .latency = slow}});
  EXPECT_THAT(order_of(compare(before, now, {}, WatchOrder::Rate)), ElementsAre(1, 2, 0));
  EXPECT_THAT(order_of(compare(before, now, {}, WatchOrder::Vector)), ElementsAre(0, 1, 2));
  EXPECT_THAT(order_of(compare(before, now, {}, WatchOrder::Latency)), ElementsAre(2, 1, 0));
}

TEST(WatchLines, WhatIsDamagedIsOnTheScreenHoweverSeldomItComes) {
  std::vector<WatchedVector> vectors;
  for (unsigned i = 0; i < 40; ++i)
    vectors.push_back({.index = i, .count = 9, .verdict = Verdict::Ok});
  vectors[33] = {.index = 33, .verdict = Verdict::Cleared, .damaged = true};
  for (const WatchOrder order : {WatchOrder::Rate, WatchOrder::Vector, WatchOrder::Latency}) {
    const auto lines = compare(at(0, {}), at(1, vectors), {}, order);
    EXPECT_THAT(table_of(lines, false, 24), HasSubstr("cleared\n"));
  }
}

TEST(WatchLines, LatencyIsThatOfTheInterruptsBetweenTheLooks) {
  LatencyBuckets before{};
  before[20] = 100;
  LatencyBuckets now = before;
  now[3] = 98;
  now[10] = 2;
  const auto lines =
      compare(at(0, {{.index = 0, .count = 100, .latency = before}}),
              at(1, {{.index = 0, .count = 200, .latency = now}}), {}, WatchOrder::Vector);
  EXPECT_EQ(lines[0].p50, 16U) << "[8, 16) ns";
  EXPECT_EQ(lines[0].p99, 2048U);
  EXPECT_EQ(percentile({}, 0.5), std::nullopt);
}

TEST(WatchLines, WhatBeganCeasedOrChangedIsMarked) {
  const WatchSample first =
      at(0, {{.index = 0, .count = 1, .owner = EventfdOwner::Irqfd, .verdict = Verdict::Ok},
             {.index = 1, .count = 1, .owner = EventfdOwner::Irqfd, .verdict = Verdict::Ok},
             {.index = 2, .count = 1, .owner = EventfdOwner::Irqfd, .verdict = Verdict::Ok}});
  const WatchSample second =
      at(1, {{.index = 0, .count = 2, .owner = EventfdOwner::Irqfd, .verdict = Verdict::Ok},
             {.index = 1, .count = 1, .owner = EventfdOwner::Latch, .verdict = Verdict::Ok},
             {.index = 2, .count = 1, .owner = EventfdOwner::Irqfd, .verdict = Verdict::Ok}});
  WatchSample earlier = first;
  earlier.time -= std::chrono::seconds(1);
  WatchSample third = second;
  third.time += std::chrono::seconds(1);
  third.vectors[2].verdict = Verdict::Cleared;
  const auto lines =
      compare(first, second, compare(earlier, first, {}, WatchOrder::Vector), WatchOrder::Vector);
  EXPECT_TRUE(lines[0].changed) << "interrupts started";
  EXPECT_TRUE(lines[1].changed) << "the owner changed";
  EXPECT_FALSE(lines[2].changed);
  const auto later = compare(second, third, lines, WatchOrder::Vector);
  EXPECT_TRUE(later[0].changed) << "interrupts stopped";
  EXPECT_FALSE(later[1].changed);
  EXPECT_TRUE(later[2].changed) << "the verdict changed";
  EXPECT_THAT(table_of(later, true), HasSubstr("\x1b[7m     2"));
  EXPECT_THAT(table_of(later, false), Not(HasSubstr("\x1b")));
}

TEST(WatchLines, AFirstLookHasNoRatesAndMarksNothing) {
  const WatchSample first = at(0, {{.index = 0, .count = 7, .verdict = Verdict::Ok},
                                   {.index = 1, .verdict = Verdict::Cleared, .damaged = true},
                                   {.index = 2, .verdict = Verdict::Unused}});
  const auto lines = compare(first, first, {}, WatchOrder::Vector);
  EXPECT_EQ(plain_lines(lines),
            "vector 1 rate - count 0 via - p50_ns - p99_ns - verdict cleared\n"
            "vector 0 rate - count 7 via - p50_ns - p99_ns - verdict ok\n");
  EXPECT_THAT(table_of(lines, true), HasSubstr("\n     0           -             7  "));
  WatchSample second = first;
  second.time += std::chrono::seconds(1);
  second.vectors[0].count = 9;
  const auto later = compare(first, second, lines, WatchOrder::Vector);
  EXPECT_FALSE(later[1].changed) << "it may have fired before the first look too";
  EXPECT_EQ(plain_lines(later), "vector 0 rate 2.0 count 9 via - p50_ns - p99_ns - verdict ok\n");
}

TEST(WatchLines, ANarrowTableLosesLatenciesAndThenTheOwner) {
  const std::vector<WatchLine> lines = {
      {.index = 2047, .rate = 1, .count = 9, .verdict = Verdict::FunctionMaskLeft}};
  const auto heading = [&](size_t width) {
    const std::string table = table_of(lines, false, 24, width);
    return table.substr(0, table.find('\n'));
  };
  EXPECT_EQ(heading(80),
            "VECTOR      RATE/s         COUNT  VIA           p50 <     p99 <  VERDICT");
  EXPECT_EQ(heading(70), "VECTOR      RATE/s         COUNT  VIA           p99 <  VERDICT");
  EXPECT_EQ(heading(56), "VECTOR      RATE/s         COUNT  VIA        VERDICT");
  EXPECT_EQ(heading(50), "VECTOR      RATE/s         COUNT  VERDICT");
}

TEST(WatchLines, ANarrowTitleLosesTheKeysAndThenItsEnd) {
  const auto title = [](size_t width) {
    return title_of("0000:00:02.0", WatchOrder::Latency, true, width);
  };
  EXPECT_EQ(title(80), "0000:00:02.0  by latency, paused   space: pause, s: sort, q: end");
  EXPECT_EQ(title(60), "0000:00:02.0  by latency, paused");
  EXPECT_EQ(title(20), "0000:00:02.0  by l..");
}

TEST(WatchLines, TheTableLeavesOutWhatNeverCameUnlessItIsDamaged) {
  const std::string table = table_of({{.index = 7, .verdict = Verdict::Unused},
                                      {.index = 8, .verdict = Verdict::Cleared},
                                      {.index = 9, .count = 1, .verdict = Verdict::Ok}},
                                     false);
  EXPECT_THAT(table, Not(HasSubstr(" 7 ")));
  EXPECT_THAT(table, HasSubstr("cleared"));
  EXPECT_THAT(table, HasSubstr(" 9 "));
}

TEST(WatchLines, TheTableFitsAScreenAndSaysWhatIsLeftOut) {
  std::vector<WatchLine> lines;
  for (unsigned i = 0; i < 10; ++i)
    lines.push_back({.index = i, .count = 1, .verdict = Verdict::Ok});
  const auto lines_of = [](const std::string& text) {
    return std::count(text.begin(), text.end(), '\n');
  };
  EXPECT_EQ(lines_of(table_of(lines, false, 11)), 11);
  const std::string table = table_of(lines, false, 5);
  EXPECT_EQ(lines_of(table), 5);
  EXPECT_THAT(table, HasSubstr("\n     2 "));
  EXPECT_THAT(table, Not(HasSubstr("\n     3 ")));
  EXPECT_THAT(table, testing::EndsWith("   ...  7 more\n"));
  EXPECT_EQ(lines_of(table_of(lines, false, 1)), 2) << "the heading and the number of hidden lines";
}

TEST(WatchLines, AsJsonARoundHasEveryMemberInTheOrderOfVectors) {
  LatencyBuckets quick{};
  quick[3] = 1;
  const auto before = at(1, {});
  const auto now =
      at(3, {{.index = 0, .count = 2, .owner = EventfdOwner::Irqfd, .verdict = Verdict::Ok},
             {.index = 2,
              .count = 8,
              .owner = EventfdOwner::Forwarder,
              .verdict = Verdict::Ok,
              .latency = quick}});
  const Json json =
      watch_json("0000:00:02.0", before, now, compare(before, now, {}, WatchOrder::Rate));
  EXPECT_EQ(json, (Json{{"device", "0000:00:02.0"},
                        {"time_ns", 3'000'000'000},
                        {"seconds", 2.0},
                        {"vectors",
                         {{{"index", 0},
                           {"rate", 1.0},
                           {"count", 2},
                           {"owner", "irqfd"},
                           {"p50_ns", nullptr},
                           {"p99_ns", nullptr},
                           {"verdict", "ok"},
                           {"changed", false}},
                          {{"index", 2},
                           {"rate", 4.0},
                           {"count", 8},
                           {"owner", "forwarder"},
                           {"p50_ns", 16},
                           {"p99_ns", 16},
                           {"verdict", "ok"},
                           {"changed", false}}}}}));
  EXPECT_EQ(json_line(json).find('\n'), json_line(json).size() - 1) << "JSON in one line";
  EXPECT_TRUE(json_line(json).starts_with("{\"version\":1,"));
}

TEST(WatchLines, AsJsonWhatNeverCameIsLeftOutUnlessItIsDamagedOrHasChanged) {
  const auto json = watch_json("", {}, {},
                               {{.index = 9, .verdict = Verdict::Unused, .changed = true},
                                {.index = 8, .verdict = Verdict::Cleared},
                                {.index = 7, .verdict = Verdict::Unused},
                                {.index = 6, .verdict = Verdict::Ok},
                                {.index = 5, .verdict = Verdict::NotSeen}});
  ASSERT_EQ(json["vectors"].size(), 2U);
  EXPECT_EQ(json["vectors"][0]["index"], 8);
  EXPECT_EQ(json["vectors"][0]["owner"], nullptr) << "no owner";
  EXPECT_EQ(json["vectors"][1]["index"], 9);
}

}  // namespace
}  // namespace passthru::tools
