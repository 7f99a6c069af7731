// SPDX-License-Identifier: MIT
// Tests of KvmHypervisor on a fake KVM: detected features, memory slots, and INTx pins.
#include "kvm/kvm_hypervisor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/eventfd.h>

#include <utility>
#include <vector>

#include "base/fd.h"
#include "tests/unit/kvm/kvm_hypervisor_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class KvmHypervisorTest : public KvmHypervisorFixture {
 protected:
  const Fd eventfd{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
  const Fd resample{::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)};
};

TEST_F(KvmHypervisorTest, FindsOutWhetherAnIrqfdTakesItsEventfdsCounter) {
  for (const bool takes : {true, false}) {
    kvm.takes_signals = takes;
    create();
    EXPECT_EQ(host->takes_signals_at_once(), takes);
    EXPECT_THAT(kvm.irqfds, IsEmpty());
    EXPECT_THAT(kvm.delivered(), IsEmpty());
  }
}

TEST_F(KvmHypervisorTest, IsNotMadeForAVmThatCanHaveNoIrqfd) {
  kvm.has_irqchip = false;
  const auto refused = KvmHypervisor::create(FakeKvm::kVm, {}, kvm);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, EINVAL);
  EXPECT_THAT(refused.error().message(), HasSubstr("KVM_CREATE_IRQCHIP"));
}

TEST_F(KvmHypervisorTest, AMappingIsASlotUntilItIsTakenAway) {
  create();
  const GuestMapping one{0x10000, 0x4000, nullptr}, two{0x20000, 0x1000, nullptr};
  ASSERT_TRUE(host->map(one));
  ASSERT_TRUE(host->map(two));
  EXPECT_THAT(kvm.memory, ElementsAre(Pair(0x10000, 0x4000), Pair(0x20000, 0x1000)));
  EXPECT_TRUE(host->unmap(one));
  EXPECT_TRUE(host->unmap(two));
  EXPECT_THAT(kvm.memory, IsEmpty());
}

TEST_F(KvmHypervisorTest, AMappingThatKvmDoesNotTakeAwayIsTakenAwayNextTime) {
  create();
  const GuestMapping mapping{0x10000, 0x4000, nullptr};
  ASSERT_TRUE(host->map(mapping));
  kvm.fail_next("KVM_SET_USER_MEMORY_REGION", ENOMEM);
  const auto refused = host->unmap(mapping);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, ENOMEM);
  EXPECT_THAT(refused.error().message(), HasSubstr("0x10000"));
  EXPECT_THAT(host->map(mapping).error().message(), HasSubstr("0x10000"))
      << "the mapping still exists";
  EXPECT_TRUE(host->unmap(mapping));
  EXPECT_THAT(kvm.memory, IsEmpty());
}

TEST_F(KvmHypervisorTest, ASlotIsFreeAfterAnUnmapAndAfterAMapThatKvmRefuses) {
  create({.first_slot = 62});  // KVM has 64
  const GuestMapping one{0x10000, 0x1000, nullptr}, two{0x20000, 0x1000, nullptr};
  for (unsigned round = 0; round < 3; ++round) {
    kvm.fail_next("KVM_SET_USER_MEMORY_REGION", EINVAL);
    EXPECT_FALSE(host->map(one));
    EXPECT_TRUE(host->map(one)) << round;
    EXPECT_TRUE(host->map(two)) << round;
    EXPECT_EQ(host->map({0x30000, 0x1000, nullptr}).error().code, ENOSPC);
    EXPECT_TRUE(host->unmap(one));
    EXPECT_TRUE(host->unmap(two));
  }
}

TEST_F(KvmHypervisorTest, APinIsDisarmedOnTheGsiThatItWasArmedOn) {
  uint32_t wired = 16;
  create({.intx_gsi = [&wired](Bdf, unsigned) { return wired; }});
  const Bdf device{.device = 3};
  ASSERT_TRUE(host->arm_intx(device, 0, eventfd.get(), resample.get()));
  EXPECT_THAT(kvm.irqfds, ElementsAre(Pair(eventfd.get(), FakeKvm::Irqfd{16, resample.get()})));
  wired = 17;
  host->disarm_intx(device, 0, eventfd.get());
  EXPECT_THAT(kvm.irqfds, IsEmpty());
  ASSERT_TRUE(host->arm_intx(device, 0, eventfd.get(), resample.get()));
  EXPECT_THAT(kvm.irqfds, ElementsAre(Pair(eventfd.get(), FakeKvm::Irqfd{17, resample.get()})));
  host->disarm_intx(device, 0, eventfd.get());
}

TEST_F(KvmHypervisorTest, EachEventfdOfAPinIsDisarmed) {
  create({.intx_gsi = [](Bdf, unsigned) { return 16; }});
  const Fd other(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  ASSERT_TRUE(host->arm_intx({}, 0, eventfd.get(), resample.get()));
  ASSERT_TRUE(host->arm_intx({}, 0, other.get(), resample.get()));
  host->disarm_intx({}, 0, other.get());
  EXPECT_THAT(kvm.irqfds, ElementsAre(Pair(eventfd.get(), FakeKvm::Irqfd{16, resample.get()})));
  host->disarm_intx({}, 0, eventfd.get());
  EXPECT_THAT(kvm.irqfds, IsEmpty());
}

TEST_F(KvmHypervisorTest, APinThatKvmRefusesIsNotDisarmed) {
  create({.intx_gsi = [](Bdf, unsigned) { return 16; }});
  ASSERT_TRUE(host->arm_intx({}, 0, eventfd.get(), resample.get()));
  host->disarm_intx({}, 0, eventfd.get());
  kvm.fail_next("KVM_IRQFD", EBUSY);
  EXPECT_FALSE(host->arm_intx({}, 0, eventfd.get(), resample.get()));
  const unsigned calls = kvm.calls("KVM_IRQFD");
  host->disarm_intx({}, 0, eventfd.get());
  EXPECT_EQ(kvm.calls("KVM_IRQFD"), calls);
}

TEST_F(KvmHypervisorTest, APinThatIsWiredToNothingIsNotArmed) {
  create({.intx_gsi = [](Bdf, unsigned) -> Result<uint32_t> { return fail(ENXIO, "wire a pin"); }});
  const unsigned calls = kvm.calls("KVM_IRQFD");
  const auto armed = host->arm_intx({}, 0, eventfd.get(), resample.get());
  ASSERT_FALSE(armed);
  EXPECT_EQ(armed.error().code, ENXIO);
  EXPECT_EQ(kvm.calls("KVM_IRQFD"), calls);
}

TEST_F(KvmHypervisorTest, ALevelFallsThoughItsPinIsNoLongerWired) {
  bool wired = true;
  std::vector<std::pair<uint32_t, bool>> levels;
  create({.irqchip_pins = false,
          .intx_gsi = [&wired](Bdf, unsigned) -> Result<uint32_t> {
            if (!wired) return fail(ENXIO, "wire a pin");
            return 16U;
          },
          .set_line = [&levels](uint32_t gsi, bool level) { levels.emplace_back(gsi, level); }});
  host->set_intx({}, 0, true);
  wired = false;
  host->set_intx({}, 0, false);
  host->set_intx({}, 0, true);
  EXPECT_THAT(levels, ElementsAre(Pair(16, true), Pair(16, false)));
}

TEST_F(KvmHypervisorTest, ALevelFallsOnTheLineThatItRoseOn) {
  uint32_t wired = 16;
  std::vector<std::pair<uint32_t, bool>> levels;
  create({.irqchip_pins = false,
          .intx_gsi = [&wired](Bdf, unsigned) { return wired; },
          .set_line = [&levels](uint32_t gsi, bool level) { levels.emplace_back(gsi, level); }});
  EXPECT_TRUE(host->intx_by_level());
  host->set_intx({}, 0, true);
  wired = 17;
  host->set_intx({}, 0, false);
  EXPECT_THAT(levels, ElementsAre(Pair(16, true), Pair(16, false)));
}

}  // namespace
}  // namespace passthru
