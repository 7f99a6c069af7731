// SPDX-License-Identifier: MIT
// Tests of KvmHypervisor's routes on real KVM: many routes changed together, and routes beside
// those of a VMM with a split irqchip.
#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "kvm/kvm_hypervisor.h"
#include "tests/hil/sleeping_cpu.h"
#include "tests/hil/split_machine.h"
#include "vmm/kvm_machine.h"

namespace passthru {
namespace {

MsiMessage to_vector(unsigned vector) {
  return {0xfee0'0000, vector};
}

std::unique_ptr<KvmHypervisor> host_of(int vm, KvmHypervisorOptions options = {}) {
  auto made = KvmHypervisor::create(vm, std::move(options));
  EXPECT_TRUE(made) << made.error().message();
  return made ? std::move(*made) : nullptr;
}

class KvmRoutes : public testing::Test {
 protected:
  void SetUp() override {
    auto made = KvmMachine::create();
    ASSERT_TRUE(made) << made.error().message();
    machine = std::move(*made);
    cpu.emplace(*machine, 0);
    host = host_of(machine->vm());
    ASSERT_TRUE(host);
  }
  static Fd make_eventfd() { return Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }
  static void signal(const Fd& eventfd) {
    const uint64_t one = 1;
    ASSERT_EQ(::write(eventfd.get(), &one, sizeof one), 8);
  }

  std::unique_ptr<KvmMachine> machine;
  std::optional<SleepingCpu> cpu;
  std::unique_ptr<KvmHypervisor> host;
};

TEST_F(KvmRoutes, KnowsWhetherAnIrqfdTakesItsEventfdsCounter) {
  const Fd eventfd = make_eventfd();
  const auto route = host->create_route(to_vector(0x51), 0);
  ASSERT_TRUE(route) << route.error().message();
  ASSERT_TRUE(host->arm(*route, eventfd.get()));
  signal(eventfd);
  uint64_t left = 0;
  EXPECT_EQ(host->takes_signals_at_once(), ::read(eventfd.get(), &left, sizeof left) < 0);
  EXPECT_TRUE(soon(*cpu, 0x51));
  host->disarm(*route, eventfd.get());
  host->destroy_route(*route);
}

TEST_F(KvmRoutes, ThatAreMadeAndChangedTogetherEachLeadWhereTheyShould) {
  constexpr unsigned kFirst = 0x30, kMoved = 0x90, kRoutes = 64;
  std::vector<RouteChange> changes;
  for (unsigned at = 0; at < kRoutes; ++at) changes.push_back({.message = to_vector(kFirst + at)});
  const auto made = host->change_routes(changes);
  std::vector<Fd> eventfds;
  for (unsigned at = 0; at < kRoutes; ++at) {
    ASSERT_TRUE(made[at]) << made[at].error().message();
    eventfds.push_back(make_eventfd());
    ASSERT_TRUE(host->arm(*made[at], eventfds[at].get()));
    signal(eventfds[at]);
    EXPECT_TRUE(soon(*cpu, kFirst + at)) << at;
    changes[at] = {.route = *made[at], .message = to_vector(kMoved + at)};
  }
  cpu->clear();
  for (const auto& changed : host->change_routes(changes)) ASSERT_TRUE(changed);
  for (unsigned at = 0; at < kRoutes; ++at) {
    signal(eventfds[at]);
    EXPECT_TRUE(soon(*cpu, kMoved + at)) << at;
    EXPECT_FALSE(cpu->requested(kFirst + at)) << at;
    host->disarm(*made[at], eventfds[at].get());
    host->destroy_route(*made[at]);
  }
}

// KVM reports the end of an interrupt only for vectors that a level-triggered route of a pin names.
TEST(KvmSplitIrqchip, TheEndOfALevelInterruptIsReportedEachTimeWhateverElseIsRouted) {
  constexpr uint32_t kLevel = 1 << 15;
  const auto level = [](unsigned vector) {
    return MsiRoute{.message = to_vector(kLevel | vector)};
  };
  SplitMachine machine;
  const auto host = host_of(
      machine.vm(), {.first_slot = 1, .irqchip_pins = false, .vmm_routes = {{5, level(0x31)}}});
  ASSERT_TRUE(host);
  EXPECT_EQ(machine.end_of(0x31), 0x31U);
  const auto route = host->create_route(to_vector(0x51), 0);
  ASSERT_TRUE(route) << route.error().message();
  for (unsigned end = 0; end < 1000; ++end) {
    ASSERT_EQ(machine.end_of(0x31), 0x31U)
        << "EOI " << end << ": a device's route replaced the table";
  }
  EXPECT_EQ(machine.end_of(0x51), std::nullopt) << "edge-triggered";

  ASSERT_TRUE(host->set_vmm_routes({{5, level(0x32)}}));
  EXPECT_EQ(machine.end_of(0x32), 0x32U);
  ASSERT_TRUE(host->update_route(*route, to_vector(0x52)));
  EXPECT_EQ(machine.end_of(0x32), 0x32U);
  EXPECT_EQ(machine.end_of(0x31), std::nullopt) << "no pin has a route to this vector";
}

}  // namespace
}  // namespace passthru
