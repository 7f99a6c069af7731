// SPDX-License-Identifier: MIT
// Tests of the pure parts of kvm/: numbers, the route table, and shared INTx lines.
#include <gtest/gtest.h>

#include <set>
#include <vector>

#include "kvm/intx_lines.h"
#include "kvm/number_pool.h"
#include "kvm/routing_table.h"

namespace passthru {
namespace {

const MsiRoute kRoute{.message = {.address = 0xfee00000, .data = 0x41}, .requester_id = 0x10};
constexpr RoutingTable::Layout kIrqchip{
    .first_gsi = 24, .limit = 4096, .pins = 24, .pin_entries = 40};

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
  RoutingTable table(kIrqchip);
  std::set<uint32_t> gsis;
  for (int i = 0; i < 100; ++i) gsis.insert(table.add(kRoute).value());
  EXPECT_EQ(gsis.size(), 100u);
  EXPECT_EQ(*gsis.begin(), 24u);
  EXPECT_EQ(table.routes().size(), 100u);
}

TEST(RoutingTable, IsFullWhenPinsAndRoutesTogetherReachTheLimit) {
  RoutingTable table({.first_gsi = 24, .limit = 100, .pins = 24, .pin_entries = 40});
  for (int i = 0; i < 60; ++i) ASSERT_TRUE(table.add(kRoute));
  const auto refused = table.add(kRoute);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOSPC);
  EXPECT_NE(refused.error().message().find("60 KVM routes"), std::string::npos);
  EXPECT_EQ(table.routes().size(), 60u);
}

TEST(RoutingTable, NeverGivesAGsiAtTheLimit) {
  RoutingTable table({.first_gsi = 24, .limit = 30});
  uint32_t last = 0;
  while (const auto gsi = table.add(kRoute)) last = *gsi;
  EXPECT_EQ(last, 29u);
}

TEST(RoutingTable, HasNoRoomWhereThePinsFillIt) {
  RoutingTable table({.first_gsi = 24, .limit = 16, .pins = 24, .pin_entries = 40});
  EXPECT_FALSE(table.add(kRoute));
}

TEST(RoutingTable, ForgetsARemovedRouteAndReusesItsGsi) {
  RoutingTable table(kIrqchip);
  const uint32_t first = table.add(kRoute).value();
  const uint32_t second = table.add(kRoute).value();
  table.remove(first);
  EXPECT_EQ(table.find(first).error().code, ENOENT);
  EXPECT_EQ(table.find(second).value(), kRoute);
  EXPECT_EQ(table.add(kRoute).value(), first);
}

TEST(RoutingTable, RemovingAnUnknownRouteDoesNotMakeItsGsiFree) {
  RoutingTable table(kIrqchip);
  table.remove(30);
  EXPECT_EQ(table.add(kRoute).value(), 24u);
  EXPECT_EQ(table.add(kRoute).value(), 25u);
}

TEST(RoutingTable, TheVmmsOwnRoutesTakeRoomAndNoGsiOfOurs) {
  RoutingTable table({.first_gsi = 24, .limit = 30});
  ASSERT_TRUE(table.set_vmm_routes({{2, kRoute}, {23, kRoute}}));
  for (uint32_t gsi = 24; gsi < 30; ++gsi) EXPECT_EQ(table.add(kRoute).value(), gsi);
  table.remove(29);
  MsiRoutes many;
  for (uint32_t gsi = 0; gsi < 24; ++gsi) many[gsi] = kRoute;
  ASSERT_TRUE(table.set_vmm_routes(many));
  EXPECT_EQ(table.add(kRoute).value(), 29u);
  EXPECT_EQ(table.add(kRoute).error().code, ENOSPC);
  EXPECT_EQ(table.vmm_routes(), many);
}

TEST(RoutingTable, HasNoRoomForMoreRoutesOfTheVmmThanTheRestLeaves) {
  RoutingTable table({.first_gsi = 70, .limit = 100, .pins = 24, .pin_entries = 40});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(table.add(kRoute));
  MsiRoutes many;
  for (uint32_t gsi = 24; gsi < 64; ++gsi) many[gsi] = kRoute;
  ASSERT_TRUE(table.set_vmm_routes(many));
  EXPECT_EQ(table.add(kRoute).error().code, ENOSPC);
  MsiRoutes too_many = many;
  too_many[64] = kRoute;
  EXPECT_EQ(table.set_vmm_routes(too_many).error().code, ENOSPC);
  EXPECT_EQ(table.vmm_routes(), many);
}

TEST(RoutingTable, RefusesRoutesOfTheVmmOnPinsAndOnGsisOfOurs) {
  RoutingTable table({.first_gsi = 32, .limit = 4096, .pins = 24, .pin_entries = 40});
  ASSERT_TRUE(table.set_vmm_routes({{24, kRoute}, {31, kRoute}}));
  for (uint32_t gsi : {0u, 23u, 32u, 5000u}) {
    EXPECT_EQ(table.set_vmm_routes({{25, kRoute}, {gsi, kRoute}}).error().code, EINVAL) << gsi;
  }
  EXPECT_EQ(table.vmm_routes(), (MsiRoutes{{24, kRoute}, {31, kRoute}}));
}

using Levels = std::vector<LineLevel>;

TEST(IntxLines, ALineStaysHighUntilTheLastPinOnItIsLow) {
  const Bdf one{.device = 1}, two{.device = 9};
  IntxLines lines;
  EXPECT_EQ(lines.set(17, one, 0, true), (Levels{{17, true}}));
  EXPECT_EQ(lines.set(17, two, 0, true), Levels{});
  EXPECT_EQ(lines.set(17, one, 0, false), Levels{});
  EXPECT_EQ(lines.set(17, two, 0, false), (Levels{{17, false}}));
}

TEST(IntxLines, SettingALevelTwiceChangesNothing) {
  const Bdf device{.device = 1};
  IntxLines lines;
  EXPECT_EQ(lines.set(17, device, 0, false), Levels{});
  EXPECT_EQ(lines.set(17, device, 0, true), (Levels{{17, true}}));
  EXPECT_EQ(lines.set(17, device, 0, true), Levels{});
  EXPECT_EQ(lines.set(17, device, 0, false), (Levels{{17, false}}));
}

TEST(IntxLines, LinesAreIndependent) {
  IntxLines lines;
  EXPECT_EQ(lines.set(17, Bdf{.device = 1}, 0, true), (Levels{{17, true}}));
  EXPECT_EQ(lines.set(18, Bdf{.device = 2}, 0, true), (Levels{{18, true}}));
  EXPECT_EQ(lines.set(17, Bdf{.device = 1}, 0, false), (Levels{{17, false}}));
}

TEST(IntxLines, APinThatIsWiredToAnotherLineFallsWhereItRose) {
  const Bdf device{.device = 1};
  IntxLines lines;
  EXPECT_EQ(lines.set(16, device, 0, true), (Levels{{16, true}}));
  EXPECT_EQ(lines.set(17, device, 0, false), (Levels{{16, false}}));
  EXPECT_EQ(lines.set(17, device, 0, true), (Levels{{17, true}}));
  EXPECT_EQ(lines.set(18, device, 0, true), (Levels{{17, false}, {18, true}}));
}

}  // namespace
}  // namespace passthru
