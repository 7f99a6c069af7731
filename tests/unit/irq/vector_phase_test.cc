// SPDX-License-Identifier: MIT
// Each line of the table of transitions in irq/vector_state.h.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {

void PrintTo(VectorPhase phase, std::ostream* out) {
  *out << to_string(phase);
}

namespace {

using ::testing::ElementsAre;

class VectorPhaseTest : public MsixTest {
 protected:
  /// A device with vector 0 armed, of which vector 1 is tested.
  void SetUp() override {
    live(1);
    ASSERT_EQ(phase(), VectorPhase::Unbound);
  }
  [[nodiscard]] VectorPhase phase(unsigned vector = kVector) {
    return msix->inspect()[vector].phase;
  }
  void unmask() { program_and_unmask(kVector); }
  void bind() {
    unmask();
    mask(kVector, true);
    ASSERT_EQ(phase(), VectorPhase::Latched);
    host.delivered();
  }
  void spoil_message() {
    put32(kVector * 16, 0x1000);
    put32(kVector * 16 + 8, 0x41);
  }
  /// Damages the entry, and lets the SET_IRQS that restores it fail.
  void lose() {
    fake->set_entry(kVector, {0, 0, 0, 0});
    kernel.fail("VFIO_DEVICE_SET_IRQS", EIO, 1);
    ASSERT_FALSE(msix->audit());
  }

  static constexpr unsigned kVector = 1;
};

TEST_F(VectorPhaseTest, UnmaskArmsAnUnboundVector) {
  unmask();
  EXPECT_EQ(phase(), VectorPhase::Armed);
  EXPECT_EQ(fake->fire(kVector), Fired::Delivered);
}

TEST_F(VectorPhaseTest, UnmaskArmsALatchedVectorAndDeliversWhatItLatched) {
  bind();
  EXPECT_EQ(fake->fire(kVector), Fired::Delivered);
  mask(kVector, false);
  EXPECT_EQ(phase(), VectorPhase::Armed);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(kVector)));
}

TEST_F(VectorPhaseTest, UnmaskLeavesAVectorUnboundIfSetIrqsFails) {
  kernel.fail("VFIO_DEVICE_SET_IRQS", ENOMEM);
  unmask();
  EXPECT_EQ(phase(), VectorPhase::Unbound);
  EXPECT_THAT(failures, ElementsAre(std::pair{kVector, ENOMEM}));
}

TEST_F(VectorPhaseTest, UnmaskLatchesAVectorWhoseRouteOrArmingFails) {
  for (const char* call : {"create_route", "arm"}) {
    host.fail_next(call, ENOSPC);
    unmask();
    EXPECT_EQ(phase(), VectorPhase::Latched) << call;
    EXPECT_THAT(failures, ElementsAre(std::pair{kVector, ENOSPC})) << call;
    failures.clear();
    EXPECT_EQ(*msix->audit(), 1U) << "tries it again";
    EXPECT_EQ(phase(), VectorPhase::Armed) << call;
    msix->reset();
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  }
}

TEST_F(VectorPhaseTest, UnmaskWithABadMessageIsUnroutableUntilTheGuestCorrectsIt) {
  for (const bool bound : {false, true}) {
    if (bound) mask(kVector, true);
    spoil_message();
    mask(kVector, false);
    EXPECT_EQ(phase(), VectorPhase::Unroutable) << bound;
    program(kVector);
    EXPECT_EQ(phase(), VectorPhase::Armed) << bound;
  }
  EXPECT_THAT(failures, ElementsAre(std::pair{kVector, EINVAL})) << "reported once";
}

TEST_F(VectorPhaseTest, ABadMessageMakesAnArmedVectorUnroutableAndAMaskLatchesIt) {
  unmask();
  spoil_message();
  EXPECT_EQ(phase(), VectorPhase::Unroutable);
  mask(kVector, true);
  EXPECT_EQ(phase(), VectorPhase::Latched);
}

TEST_F(VectorPhaseTest, AMaskLatchesAnArmedVector) {
  unmask();
  mask(kVector, true);
  EXPECT_EQ(phase(), VectorPhase::Latched);
}

TEST_F(VectorPhaseTest, ADriverThatFreesALatchedVectorUnbindsIt) {
  bind();
  put32(kVector * 16, 0);
  put32(kVector * 16 + 8, 0);
  mask(kVector, true);
  EXPECT_EQ(phase(), VectorPhase::Unbound);
}

TEST_F(VectorPhaseTest, ASetIrqsThatFailsLosesAVectorAndARestoreGivesItBack) {
  unmask();
  lose();
  EXPECT_EQ(phase(), VectorPhase::Lost);
  EXPECT_EQ(phase(0), VectorPhase::Armed);
  EXPECT_THAT(failures, ElementsAre(std::pair{kVector, EIO}));
  EXPECT_TRUE(msix->audit());
  EXPECT_EQ(phase(), VectorPhase::Armed);
}

TEST_F(VectorPhaseTest, ALostVectorThatIsMaskedMeanwhileIsLatchedAfterTheRestore) {
  unmask();
  lose();
  mask(kVector, true);
  EXPECT_EQ(phase(), VectorPhase::Lost);
  EXPECT_TRUE(msix->audit());
  EXPECT_EQ(phase(), VectorPhase::Latched);
}

TEST_F(VectorPhaseTest, ALostVectorWithABadMessageIsUnroutableAfterTheRestore) {
  unmask();
  lose();
  spoil_message();  // the guest's write restores the vector
  EXPECT_EQ(phase(), VectorPhase::Unroutable);
}

TEST_F(VectorPhaseTest, DisablingUnbindsAVectorOfAnyPhase) {
  unmask();
  msix->write_control(0);
  EXPECT_EQ(phase(), VectorPhase::Unbound);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  lose();
  msix->write_control(0);
  EXPECT_EQ(phase(), VectorPhase::Unbound);
}

}  // namespace
}  // namespace passthru
