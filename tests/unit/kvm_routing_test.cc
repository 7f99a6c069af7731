// SPDX-License-Identifier: MIT
// Owns the pure parts of host/kvm/: numbers, the table of routes, and shared INTx lines.
#include <gtest/gtest.h>

#include <set>

#include "host/kvm/intx_lines.h"
#include "host/kvm/number_pool.h"
#include "host/kvm/routing_table.h"

namespace passthru {
namespace {

const MsiRoute kRoute{.message = {.address = 0xfee00000, .data = 0x41}, .requester_id = 0x10};

TEST(NumberPool, HandsOutEveryNumberOnceAndThenNone) {
  NumberPool pool(24, 3);
  EXPECT_EQ(pool.take(), 24u);
  EXPECT_EQ(pool.take(), 25u);
  EXPECT_EQ(pool.take(), 26u);
  EXPECT_EQ(pool.take(), std::nullopt);
}

TEST(NumberPool, ReusesTheLowestNumberGivenBack) {
  NumberPool pool(0, 4);
  for (int i = 0; i < 3; ++i) pool.take();
  pool.give_back(2);
  pool.give_back(0);
  EXPECT_EQ(pool.take(), 0u);
  EXPECT_EQ(pool.take(), 2u);
  EXPECT_EQ(pool.take(), 3u);
  EXPECT_EQ(pool.take(), std::nullopt);
}

TEST(RoutingTable, GivesEachRouteItsOwnGsiAboveThePins) {
  RoutingTable table(24, 4096, 40);
  std::set<uint32_t> gsis;
  for (int i = 0; i < 100; ++i) gsis.insert(table.add(kRoute).value());
  EXPECT_EQ(gsis.size(), 100u);
  EXPECT_EQ(*gsis.begin(), 24u);
  EXPECT_EQ(table.routes().size(), 100u);
}

TEST(RoutingTable, IsFullWhenPinsAndRoutesTogetherReachTheLimit) {
  RoutingTable table(24, 100, 40);
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(table.add(kRoute));
  const auto refused = table.add(kRoute);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_NE(refused.error().message().find("60 routes"), std::string::npos);
  EXPECT_EQ(table.routes().size(), 60u);
}

TEST(RoutingTable, NeverGivesAGsiAtTheLimit) {
  RoutingTable table(24, 30, 0);
  uint32_t last = 0;
  while (const auto gsi = table.add(kRoute)) last = *gsi;
  EXPECT_EQ(last, 29u);
}

TEST(RoutingTable, HasNoRoomWhereThePinsFillIt) {
  RoutingTable table(24, 16, 40);
  EXPECT_FALSE(table.add(kRoute));
}

TEST(RoutingTable, ForgetsARemovedRouteAndReusesItsGsi) {
  RoutingTable table(24, 4096, 40);
  const uint32_t first = table.add(kRoute).value();
  const uint32_t second = table.add(kRoute).value();
  table.remove(first);
  EXPECT_EQ(table.find(first).error().code, ENOENT);
  EXPECT_EQ(table.find(second).value(), kRoute);
  EXPECT_EQ(table.add(kRoute).value(), first);
}

TEST(RoutingTable, RemovingAnUnknownRouteDoesNotMakeItsGsiFree) {
  RoutingTable table(24, 4096, 40);
  table.remove(30);
  EXPECT_EQ(table.add(kRoute).value(), 24u);
  EXPECT_EQ(table.add(kRoute).value(), 25u);
}

TEST(IntxLines, ALineStaysHighUntilTheLastPinOnItIsLow) {
  const Bdf one{.device = 1}, two{.device = 9};
  IntxLines lines;
  EXPECT_EQ(lines.set(17, one, 0, true), true);
  EXPECT_EQ(lines.set(17, two, 0, true), std::nullopt);
  EXPECT_EQ(lines.set(17, one, 0, false), std::nullopt);
  EXPECT_EQ(lines.set(17, two, 0, false), false);
}

TEST(IntxLines, SettingALevelTwiceChangesNothing) {
  const Bdf device{.device = 1};
  IntxLines lines;
  EXPECT_EQ(lines.set(17, device, 0, false), std::nullopt);
  EXPECT_EQ(lines.set(17, device, 0, true), true);
  EXPECT_EQ(lines.set(17, device, 0, true), std::nullopt);
  EXPECT_EQ(lines.set(17, device, 0, false), false);
}

TEST(IntxLines, LinesAreIndependent) {
  IntxLines lines;
  EXPECT_EQ(lines.set(17, Bdf{.device = 1}, 0, true), true);
  EXPECT_EQ(lines.set(18, Bdf{.device = 2}, 0, true), true);
  EXPECT_EQ(lines.set(17, Bdf{.device = 1}, 0, false), false);
}

}  // namespace
}  // namespace passthru
