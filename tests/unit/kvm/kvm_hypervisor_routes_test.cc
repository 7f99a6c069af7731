// SPDX-License-Identifier: MIT
// Tests of KvmHypervisor's route table on a fake KVM: how often it is set, and its contents beside
// the devices' routes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <vector>

#include "tests/unit/kvm/kvm_hypervisor_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr const char* kSetRoutes = "KVM_SET_GSI_ROUTING";

MsiMessage message(uint32_t data) {
  return {0xfee0'0000, data};
}

class KvmHypervisorRoutes : public KvmHypervisorFixture {
 protected:
  [[nodiscard]] unsigned tables() const { return kvm.calls(kSetRoutes); }
};

TEST_F(KvmHypervisorRoutes, SeveralChangesAreOneTable) {
  create();
  const RouteId old = host->create_route(message(1), 8).value();
  const unsigned before = tables();
  const std::vector<RouteChange> changes{{.message = message(2), .requester_id = 8},
                                         {.route = old, .message = message(3)},
                                         {.message = message(4), .requester_id = 8}};
  const auto answers = host->change_routes(changes);
  EXPECT_EQ(tables(), before + 1);
  ASSERT_EQ(answers.size(), 3U);
  EXPECT_EQ(answers[1].value(), old);
  EXPECT_EQ(kvm.routes,
            (std::map<uint32_t, MsiMessage>{
                {*answers[0], message(2)}, {old, message(3)}, {*answers[2], message(4)}}));
  EXPECT_EQ(kvm.pins, 40U) << "KVM's own pins keep their routes";
}

TEST_F(KvmHypervisorRoutes, ARouteKeepsItsRequesterWhereKvmTakesOne) {
  kvm.takes_requesters = true;
  create();
  const RouteId route = host->create_route(message(1), 8).value();
  EXPECT_THAT(kvm.requesters, ElementsAre(Pair(route, 8)));
  ASSERT_TRUE(host->update_route(route, message(2)));
  EXPECT_THAT(kvm.requesters, ElementsAre(Pair(route, 8)));
}

TEST_F(KvmHypervisorRoutes, WhatChangesNothingSetsNoTable) {
  create();
  const RouteId route = host->create_route(message(1), 8).value();
  const unsigned before = tables();
  EXPECT_TRUE(host->update_route(route, message(1)));
  EXPECT_THAT(host->change_routes({}), IsEmpty());
  EXPECT_EQ(tables(), before);
}

// KVM may keep the route until the next table is set: nothing signals it.
TEST_F(KvmHypervisorRoutes, ARouteThatIsDestroyedSetsNoTableAndIsInNoLaterOne) {
  create();
  const RouteId gone = host->create_route(message(1), 8).value();
  const RouteId stays = host->create_route(message(2), 8).value();
  const unsigned before = tables();
  host->destroy_route(gone);
  EXPECT_EQ(tables(), before);
  EXPECT_EQ(host->update_route(gone, message(3)).error().code, ENOENT);
  ASSERT_TRUE(host->update_route(stays, message(4)));
  EXPECT_THAT(kvm.routes, ElementsAre(Pair(stays, message(4))));
  EXPECT_EQ(host->create_route(message(5), 8).value(), gone) << "its GSI is free";
}

// 0x1'0000'0000: a destination beyond 255.
TEST_F(KvmHypervisorRoutes, AChangeThatIsRefusedDoesNotStopTheOthers) {
  create();
  const std::vector<RouteChange> changes{{.message = {0x1'fee0'0000, 1}},
                                         {.message = message(2)},
                                         {.route = 77, .message = message(3)}};
  const auto answers = host->change_routes(changes);
  EXPECT_EQ(answers[0].error().code, EINVAL);
  EXPECT_EQ(answers[2].error().code, ENOENT);
  EXPECT_THAT(kvm.routes, ElementsAre(Pair(answers[1].value(), message(2))));
}

TEST_F(KvmHypervisorRoutes, OfMoreThanKvmHasThoseThatFitAreMade) {
  kvm.routes_supported = 44;
  create();
  const auto answers = host->change_routes(std::vector<RouteChange>(6, {.message = message(1)}));
  EXPECT_EQ(kvm.routes.size(), 4U);
  EXPECT_TRUE(answers[3]);
  EXPECT_EQ(answers[4].error().code, ENOSPC);
  EXPECT_EQ(answers[5].error().code, ENOSPC);
}

TEST_F(KvmHypervisorRoutes, ATableThatKvmRefusesLeavesAllRoutesAsTheyWere) {
  create();
  const RouteId old = host->create_route(message(1), 8).value();
  const RouteId same = host->create_route(message(5), 8).value();
  const auto before = kvm.routes;
  kvm.fail_next(kSetRoutes, ENOMEM);
  const std::vector<RouteChange> changes{{.message = message(2)},
                                         {.route = old, .message = message(3)},
                                         {.route = same, .message = message(5)},
                                         {.route = old, .message = message(4)}};
  const auto answers = host->change_routes(changes);
  EXPECT_EQ(answers[0].error().code, ENOMEM);
  EXPECT_EQ(answers[1].error().code, ENOMEM);
  EXPECT_TRUE(answers[2]) << "the route already has that message";
  EXPECT_EQ(answers[3].error().code, ENOMEM);
  // The next table shows KvmHypervisor's own state.
  const RouteId next = host->create_route(message(6), 8).value();
  auto after = before;
  after[next] = message(6);
  EXPECT_EQ(kvm.routes, after);
  EXPECT_EQ(next, same + 1) << "the GSI of the refused route is free";
}

TEST_F(KvmHypervisorRoutes, TheVmmsRoutesAreInEveryTable) {
  const MsiRoute pin{.message = {0xfee0'0000, 0x8031}};
  create({.irqchip_pins = false, .vmm_routes = {{5, pin}}});
  EXPECT_THAT(kvm.routes, ElementsAre(Pair(5, pin.message))) << "from the start";
  const RouteId route = host->create_route(message(1), 8).value();
  EXPECT_THAT(kvm.routes, ElementsAre(Pair(5, pin.message), Pair(route, message(1))));
  EXPECT_EQ(kvm.pins, 0U);

  const MsiRoute moved{.message = {0xfee0'1000, 0x8032}};
  ASSERT_TRUE(host->set_vmm_routes({{5, moved}, {20, pin}}));
  EXPECT_THAT(kvm.routes,
              ElementsAre(Pair(5, moved.message), Pair(20, pin.message), Pair(route, message(1))));
  ASSERT_TRUE(host->update_route(route, message(2)));
  EXPECT_THAT(kvm.routes,
              ElementsAre(Pair(5, moved.message), Pair(20, pin.message), Pair(route, message(2))));
}

TEST_F(KvmHypervisorRoutes, AVmmsRoutesLiveBesideTheIrqchipsPins) {
  create({.first_gsi = 64, .vmm_routes = {{24, {.message = message(9)}}}});
  EXPECT_EQ(host->create_route(message(1), 8).value(), 64U);
  EXPECT_THAT(kvm.routes, ElementsAre(Pair(24, message(9)), Pair(64, message(1))));
  EXPECT_EQ(kvm.pins, 40U);
}

TEST_F(KvmHypervisorRoutes, RoutesOfTheVmmThatAreRefusedChangeNothing) {
  const MsiRoute pin{.message = {0xfee0'0000, 0x8031}};
  create({.irqchip_pins = false, .vmm_routes = {{5, pin}}});
  EXPECT_EQ(host->set_vmm_routes({{24, pin}}).error().code, EINVAL);
  EXPECT_EQ(host->set_vmm_routes({{6, {.message = {0x1'fee0'0000, 1}}}}).error().code, EINVAL);
  kvm.fail_next(kSetRoutes, ENOMEM);
  EXPECT_EQ(host->set_vmm_routes({{6, pin}}).error().code, ENOMEM);
  const RouteId route = host->create_route(message(1), 8).value();
  EXPECT_THAT(kvm.routes, ElementsAre(Pair(5, pin.message), Pair(route, message(1))));
}

TEST_F(KvmHypervisorRoutes, RoutesOfTheVmmThatCannotBeAreNoKvmHost) {
  const auto refused = KvmHypervisor::create(FakeKvm::kVm, {.vmm_routes = {{5, {}}}}, kvm);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(), HasSubstr("GSI 5 is a pin"));
}

}  // namespace
}  // namespace passthru
