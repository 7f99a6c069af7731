// SPDX-License-Identifier: MIT
// Tests of MSI-X vectors that the guest unmasks one by one, on kernels with static and dynamic
// indexes. Some hosts have fewer vectors than the guest wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

TEST_F(MsixTest, GrowthOnAKernelThatCannotResizeDoubles) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  for (unsigned vector = 0; vector < 65; ++vector) program_and_unmask(vector);
  unsigned cycles = 0;
  for (const FakeCall& call : kernel.calls("VFIO_DEVICE_SET_IRQS"))
    cycles += call.count == 0 ? 1 : 0;
  EXPECT_EQ(cycles, 7U) << "1, 2, 4, 8, 16, 32, 64, 65 vectors";
  for (unsigned vector = 0; vector < 65; ++vector) EXPECT_TRUE(fake->bound(vector)) << vector;
}

TEST_F(MsixTest, GrowthThatCyclesTheIndexSignalsWhatWasBoundBefore) {
  open(FakeSpec::nvme());
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  program_and_unmask(1);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)))
      << "an interrupt may have been lost while the index was disabled";
  program_and_unmask(2);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
}

TEST_F(MsixTest, GrowthOnADynamicKernelDisturbsNobody) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  open(spec);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  for (unsigned vector = 0; vector < 65; ++vector) program_and_unmask(vector);
  for (const FakeCall& call : kernel.calls("VFIO_DEVICE_SET_IRQS")) EXPECT_EQ(call.count, 1U);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(MsixTest, AHostWithFewerVectorsLeavesTheFirstOnesWorking) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.available = 2;
  open(spec);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_THAT(failures, UnorderedElementsAre(std::pair{2U, ENOSPC}, std::pair{3U, ENOSPC}));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
}

// If a SET_IRQS adds to an enabled index, the kernel only reports a lack of vectors, not their
// number.
TEST_F(MsixTest, ABatchThatAHostCannotServeOnADynamicKernelLeavesTheFirstOnesWorking) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  spec.msix.available = 3;
  open(spec);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  program_and_unmask(0);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
  for (unsigned vector = 1; vector < 5; ++vector) program_and_unmask(vector);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  EXPECT_THAT(failures, UnorderedElementsAre(std::pair{3U, ENOSPC}, std::pair{4U, ENOSPC}));
  host.delivered();
  for (unsigned vector = 0; vector < 3; ++vector) EXPECT_EQ(fake->fire(vector), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1), message_of(2)));
}

// One by one, the kernel binds any three vectors of a dynamic index; in one call, only the first
// three.
TEST_F(MsixTest, VectorsFarApartOfAHostThatHasFewAreRestored) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  spec.msix.available = 3;
  live(1, spec);
  program_and_unmask(10);
  program_and_unmask(20);
  fake->backdoor_reset();
  ignore(msix->audit(), "enabling all at once fails");
  ignore(msix->audit(), "this audit restores the rest");
  host.delivered();
  for (const unsigned vector : {0U, 10U, 20U}) {
    EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
  }
  EXPECT_THAT(host.delivered(),
              UnorderedElementsAre(message_of(0), message_of(10), message_of(20)));
}

TEST_F(MsixTest, GrowthThatTheHostRefusesLeavesTheOthersWorking) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.available = 2;
  open(spec);
  msix->write_control(PCI_MSIX_FLAGS_ENABLE);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  host.delivered();
  EXPECT_THAT(failures, ElementsAre(std::pair{2U, ENOSPC}, std::pair{3U, ENOSPC}));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
}

TEST_F(MsixTest, AVectorThatTheHostDoesNotHaveDisturbsTheOthersOnce) {
  for (const bool told : {true, false}) {
    SCOPED_TRACE(told);
    FakeSpec spec = FakeSpec::nvme();
    spec.group = spec.bdf.bus = told ? 1 : 2;
    spec.msix.available = told ? 2 : 2048;
    live(2, spec);
    if (!told) fake->refuse(2, ENOSPC);
    program_and_unmask(2);
    host.delivered();
    kernel.forget_calls();
    for (unsigned touches = 0; touches < 10; ++touches) {
      mask(2, true);
      mask(2, false);
    }
    EXPECT_EQ(set_irqs(), 0U);
    EXPECT_THAT(host.delivered(), IsEmpty());
    EXPECT_EQ(failures.size(), 1U);
    failures.clear();
    if (!told) fake->refuse(2, 0);
    msix->write_control(0);
    msix->write_control(PCI_MSIX_FLAGS_ENABLE);
    EXPECT_EQ(fake->bound(2), !told) << "the guest starts again, and so does the count";
    failures.clear();
    table.reset();
    pba.reset();
    msix.reset();
  }
}

}  // namespace
}  // namespace passthru
