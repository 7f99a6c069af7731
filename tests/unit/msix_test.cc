// SPDX-License-Identifier: MIT
// How MSI-X interrupts travel from a device through VFIO to a guest, and what survives on the way.
#include "irq/msix.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/fakes/fake_host.h"
#include "tests/fakes/fake_kernel.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

MsiMessage message_of(unsigned vector) {
  return {0xfee0'0000, 0x40 + vector};
}

class MsixTest : public ::testing::Test, public VectorObserver {
 protected:
  void open(FakeSpec spec) {
    fake = &kernel.add(std::move(spec));
    auto opened = VfioDevice::open(kernel, dma, fake->spec().group, fake->spec().bdf);
    ASSERT_TRUE(opened) << opened.error().message();
    device = *opened;
    const FakeMsix& at = fake->spec().msix;
    const MsixLayout layout{.vectors = at.vectors,
                            .table_bar = at.table_bar,
                            .table_offset = at.table_offset,
                            .pba_bar = at.pba_bar,
                            .pba_offset = at.pba_offset,
                            .capability = FakeCapability::kMsix};
    msix =
        std::make_unique<Msix>(device, layout, host, *this,
                               Msix::Options{.requester_id = 8, .wake = [this] { return wake(); }});
    table = msix->table_target();
    pba = msix->pba_target();
    kernel.forget_calls();
  }

  Result<void> wake() {
    const uint16_t command = 0x6;
    return device->write(Region::Config, 4, std::as_bytes(std::span{&command, 1}));
  }

  void put32(uint64_t offset, uint32_t value) {
    table->write(offset, std::as_bytes(std::span{&value, 1}));
  }
  void program(unsigned vector) {
    put32(vector * 16, static_cast<uint32_t>(message_of(vector).address));
    put32(vector * 16 + 4, 0);
    put32(vector * 16 + 8, message_of(vector).data);
  }
  void mask(unsigned vector, bool masked) { put32(vector * 16 + 12, masked ? 1 : 0); }
  void program_and_unmask(unsigned vector) {
    program(vector);
    mask(vector, false);
  }
  uint64_t pending_bits(unsigned word = 0) {
    uint64_t bits = 0;
    pba->read(word * 8, std::as_writable_bytes(std::span{&bits, 1}));
    return bits;
  }
  size_t set_irqs() { return kernel.calls("VFIO_DEVICE_SET_IRQS").size(); }

  void vector_failed(unsigned vector, const Error& error) override {
    failures.emplace_back(vector, error.code);
  }
  void vectors_restored(unsigned count) override { restored += count; }
  void intx_failed(const Error& /*error*/) override {}

  FakeKernel kernel;
  FakeHost host{kernel};
  DmaSpace dma{kernel};
  FakeDevice* fake = nullptr;
  std::shared_ptr<VfioDevice> device;
  std::unique_ptr<Msix> msix;
  std::shared_ptr<AccessTarget> table;
  std::shared_ptr<AccessTarget> pba;
  std::vector<std::pair<unsigned, int>> failures;
  unsigned restored = 0;
};

TEST_F(MsixTest, EnablingCostsOneSetIrqsForWhatIsUnmasked) {
  open(FakeSpec::nvme());
  for (unsigned vector : {1U, 4U, 7U}) program_and_unmask(vector);
  EXPECT_EQ(set_irqs(), 0U);
  msix->write_control(kMsixEnable);
  const auto calls = kernel.calls("VFIO_DEVICE_SET_IRQS");
  ASSERT_EQ(calls.size(), 1U);
  EXPECT_EQ(calls[0].start, 0U);
  EXPECT_EQ(calls[0].count, 8U);
  for (unsigned vector = 0; vector < 8; ++vector) {
    const bool wanted = vector == 1 || vector == 4 || vector == 7;
    EXPECT_EQ(calls[0].eventfds[vector] >= 0, wanted) << vector;
    EXPECT_EQ(fake->bound(vector), wanted) << vector;
  }
}

TEST_F(MsixTest, TheDeviceSeesMsixEnabledAsSoonAsItsGuestEnabledIt) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable | kMsixFunctionMask);
  EXPECT_EQ(fake->msix_control() & (kMsixEnable | kMsixFunctionMask), kMsixEnable);
  EXPECT_EQ(set_irqs(), 1U);
  EXPECT_FALSE(fake->bound(0));
  msix->write_control(0);
  EXPECT_EQ(fake->msix_control() & kMsixEnable, 0);
}

TEST_F(MsixTest, AnInterruptReachesTheGuestWithItsOwnMessage) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  program_and_unmask(3);
  host.delivered();
  EXPECT_EQ(fake->fire(3), Fired::Delivered);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(3)));
}

TEST_F(MsixTest, GrowthOnAKernelThatCannotResizeDoubles) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 65; ++vector) program_and_unmask(vector);
  unsigned cycles = 0;
  for (const FakeCall& call : kernel.calls("VFIO_DEVICE_SET_IRQS"))
    cycles += call.count == 0 ? 1 : 0;
  EXPECT_EQ(cycles, 7U) << "1, 2, 4, 8, 16, 32, 64, 65 vectors";
  for (unsigned vector = 0; vector < 65; ++vector) EXPECT_TRUE(fake->bound(vector)) << vector;
}

TEST_F(MsixTest, GrowthThatCyclesTheIndexSignalsWhatWasBoundBefore) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  program_and_unmask(1);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0))) << "it may have fired during the cycle";
  program_and_unmask(2);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
}

TEST_F(MsixTest, GrowthOnADynamicKernelDisturbsNobody) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  open(spec);
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 65; ++vector) program_and_unmask(vector);
  for (const FakeCall& call : kernel.calls("VFIO_DEVICE_SET_IRQS")) EXPECT_EQ(call.count, 1U);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(MsixTest, AVectorMaskedWhileItFiresIsDeliveredOnceOnUnmask) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  mask(0, true);
  EXPECT_EQ(pending_bits(), 0U);
  fake->fire(0);
  fake->fire(0);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(pending_bits(), 1U);
  EXPECT_EQ(pending_bits(), 1U) << "reading it does not clear it";
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(pending_bits(), 0U);
  mask(0, true);
  mask(0, false);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(MsixTest, TheFunctionMaskHoldsEveryVectorBack) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  program_and_unmask(1);
  host.delivered();
  msix->write_control(kMsixEnable | kMsixFunctionMask);
  const size_t calls = set_irqs();
  fake->fire(1);
  EXPECT_THAT(host.delivered(), IsEmpty());
  EXPECT_EQ(pending_bits(), 2U);
  msix->write_control(kMsixEnable);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(set_irqs(), calls);
}

TEST_F(MsixTest, AVectorThatNobodyUnmaskedShowsTheDevicesOwnPendingBit) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(3);
  ASSERT_EQ(fake->fire(2), Fired::Pending);
  EXPECT_EQ(pending_bits(), 4U);
  program_and_unmask(2);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
}

TEST_F(MsixTest, MovingAnInterruptCostsNoCallOfTheKernel) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  const size_t calls = set_irqs();
  for (uint32_t cpu = 0; cpu < 100; ++cpu) {
    mask(0, true);
    put32(0, 0xfee0'0000 | cpu << 12);
    mask(0, false);
  }
  EXPECT_EQ(set_irqs(), calls);
  EXPECT_EQ(host.route_updates, 99U) << "the first one did not change the message";
  fake->fire(0);
  EXPECT_THAT(host.delivered(), ElementsAre(MsiMessage{0xfee0'0000 | 99U << 12, 0x40}));
}

TEST_F(MsixTest, MaskAndUnmaskWithoutAChangeUpdatesNoRoute) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  for (int i = 0; i < 10; ++i) {
    mask(0, true);
    mask(0, false);
  }
  EXPECT_EQ(host.route_updates, 0U);
}

TEST_F(MsixTest, AClearedEntryIsRestoredBeforeItsVectorIsLive) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  program_and_unmask(1);
  host.delivered();
  mask(0, true);
  fake->set_entry(0, {0, 0, 0, 0});
  EXPECT_EQ(fake->fire(0), Fired::Lost);
  mask(0, false);
  EXPECT_EQ(fake->entry(0), fake->host_message(0));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)))
      << "it may have fired while it was cleared";
  EXPECT_EQ(restored, 1U);
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
}

TEST_F(MsixTest, AnAuditRestoresWhatIsClearedAndNothingElse) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  host.delivered();
  EXPECT_EQ(*msix->audit(), 0U);
  fake->set_entry(2, {0, 0, 0, 0});
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(fake->entry(2), fake->host_message(2));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(2)));
}

TEST_F(MsixTest, AResetBehindOurBackIsHealedWithTheEnableBit) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 3; ++vector) program_and_unmask(vector);
  host.delivered();
  fake->backdoor_reset();
  ASSERT_EQ(fake->fire(1), Fired::Lost);
  EXPECT_EQ(*msix->audit(), 3U);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1), message_of(2)));
  for (unsigned vector = 0; vector < 3; ++vector) EXPECT_EQ(fake->fire(vector), Fired::Delivered);
}

TEST_F(MsixTest, ALostEnableBitOrAFunctionMaskLeftOnIsHealed) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  for (const uint16_t damaged : {uint16_t{0}, uint16_t{kMsixEnable | kMsixFunctionMask}}) {
    fake->set_msix_control(damaged);
    EXPECT_EQ(*msix->audit(), 1U);
    EXPECT_EQ(fake->fire(0), Fired::Delivered);
  }
}

TEST_F(MsixTest, WhereTheTableCannotBeSeenUnmaskingReissuesTheVector) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.mappable = false;
  open(spec);
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  mask(0, true);
  fake->set_entry(0, {0, 0, 0, 0});
  mask(0, false);
  EXPECT_EQ(fake->entry(0), fake->host_message(0));
}

TEST_F(MsixTest, DisablingGivesEverythingBack) {
  open(FakeSpec::nvme());
  const size_t fds = kernel.open_fds();
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  msix->write_control(0);
  EXPECT_EQ(host.routes(), 0U);
  EXPECT_EQ(kernel.open_fds(), fds);
  EXPECT_EQ(fake->allocated(), 0U);
  msix->write_control(kMsixEnable);
  EXPECT_EQ(fake->fire(2), Fired::Delivered);
}

TEST_F(MsixTest, WhatIsPendingWhenMsixIsTurnedOffIsDeliveredAfterItIsTurnedOn) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  mask(0, true);
  fake->fire(0);
  msix->write_control(0);
  msix->write_control(kMsixEnable);
  EXPECT_EQ(pending_bits() & 1, 1U);
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
}

TEST_F(MsixTest, ResetForgetsEverythingThatWasPending) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program_and_unmask(0);
  mask(0, true);
  fake->fire(0);
  msix->reset();
  EXPECT_FALSE(msix->enabled());
  EXPECT_EQ(pending_bits() & 1, 0U);
  EXPECT_EQ(host.routes(), 0U);
}

TEST_F(MsixTest, AHostWithFewerVectorsLeavesTheFirstOnesWorking) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.available = 2;
  open(spec);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  msix->write_control(kMsixEnable);
  EXPECT_THAT(failures, UnorderedElementsAre(std::pair{2U, ENOSPC}, std::pair{3U, ENOSPC}));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
}

TEST_F(MsixTest, GrowthThatTheHostRefusesLeavesTheOthersWorking) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.available = 2;
  open(spec);
  msix->write_control(kMsixEnable);
  for (unsigned vector = 0; vector < 4; ++vector) program_and_unmask(vector);
  host.delivered();
  EXPECT_THAT(failures, ElementsAre(std::pair{2U, ENOSPC}, std::pair{3U, ENOSPC}));
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
  EXPECT_EQ(fake->fire(1), Fired::Delivered);
  EXPECT_THAT(host.delivered(), UnorderedElementsAre(message_of(0), message_of(1)));
}

TEST_F(MsixTest, AFailureIsToldOnceUntilTheVectorWorksAgain) {
  open(FakeSpec::nvme());
  msix->write_control(kMsixEnable);
  program(0);
  for (int i = 0; i < 3; ++i) {
    host.fail_next("create_route", ENOSPC);
    mask(0, false);
    mask(0, true);
  }
  EXPECT_THAT(failures, ElementsAre(std::pair{0U, ENOSPC}));
  fake->fire(0);
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0))) << "latched until a route could be had";
  host.fail_next("arm", EIO);
  mask(0, true);
  mask(0, false);
  EXPECT_EQ(failures.size(), 2U);
}

TEST_F(MsixTest, AnyCallThatFailsLeaksNothingAndEndsInAWorkingVector) {
  for (unsigned nth = 1; nth < 12; ++nth) {
    SCOPED_TRACE(nth);
    FakeSpec spec = FakeSpec::nvme(Bdf{.device = static_cast<uint8_t>(nth)}, nth);
    open(spec);
    const size_t fds = kernel.open_fds();
    kernel.fail("*", EIO, nth);
    msix->write_control(kMsixEnable);
    for (unsigned vector = 0; vector < 3; ++vector) program_and_unmask(vector);
    // Whatever failed, masking and unmasking once more is all that a guest needs.
    for (unsigned vector = 0; vector < 3; ++vector) {
      mask(vector, true);
      mask(vector, false);
    }
    host.delivered();
    for (unsigned vector = 0; vector < 3; ++vector) {
      EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
    }
    EXPECT_EQ(host.delivered().size(), 3U);
    msix->write_control(0);
    EXPECT_EQ(kernel.open_fds(), fds);
    EXPECT_EQ(host.routes(), 0U);
  }
}

TEST_F(MsixTest, PendingBitsBeyondTheLastVectorAreZeroAndBeyondTheirEndOnes) {
  open(FakeSpec::nvme());
  EXPECT_EQ(pending_bits(1), 0U);
  EXPECT_EQ(pending_bits(2), ~uint64_t{0});
  const uint32_t ones = ~uint32_t{0};
  pba->write(0, std::as_bytes(std::span{&ones, 1}));
  EXPECT_EQ(pending_bits(0), 0U) << "writes are dropped";
}

TEST(IsDamaged, TellsAClearedEntryFromAnAffinityChange) {
  const MsixEntry remapped{0xfee0'0018, 0, 0, 0};
  const MsixEntry plain{0xfee0'1000, 0, 0x41, 0};
  struct Case {
    const char* name;
    MsixEntry expected;
    MsixEntry found;
    bool damaged;
  };
  const Case cases[] = {
      {"the same, remapped", remapped, remapped, false},
      {"the same, plain", plain, plain, false},
      {"cleared, unmasked", remapped, {0, 0, 0, 0}, true},
      {"cleared, masked", plain, {0, 0, 0, 1}, true},
      {"another remapping handle", remapped, {0xfee0'0038, 0, 0, 0}, true},
      {"another CPU without remapping", plain, {0xfee0'2000, 0, 0x42, 0}, false},
      {"masked without remapping", plain, {0xfee0'1000, 0, 0x41, 1}, true},
      {"no decode", plain, {~0U, ~0U, ~0U, ~0U}, true},
      {"plain where it was remapped", remapped, plain, true},
  };
  for (const Case& c : cases) EXPECT_EQ(is_damaged(c.expected, c.found), c.damaged) << c.name;
}

}  // namespace
}  // namespace passthru
