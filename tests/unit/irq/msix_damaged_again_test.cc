// SPDX-License-Identifier: MIT
// Tests of damage during a restore, of vectors that the kernel refuses, and of masks that are not
// damage.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MsixDamagedAgain : public MsixTest {
 protected:
  /// Zeroes the table within each of the next `times` vectors that SET_IRQS binds.
  void zero_in_set_irqs(unsigned times) {
    fake->set_pause([this, left = times]() mutable {
      if (left == 0) return;
      --left;
      fake->zero_table();
    });
  }
  void expect_sound(unsigned vectors) {
    for (unsigned vector = 0; vector < vectors; ++vector) {
      EXPECT_EQ(fake->entry(vector), fake->host_message(vector)) << vector;
      EXPECT_EQ(fake->fire(vector), Fired::Delivered) << vector;
    }
  }
};

TEST_F(MsixDamagedAgain, AnEntryThatIsZeroedWithinItsRestoreIsRestoredAgain) {
  live(1);
  fake->zero_table();
  zero_in_set_irqs(TableRestorer::kMaxAttempts - 1);
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  expect_sound(1);
}

TEST_F(MsixDamagedAgain, AfterAFewAttemptsTheAuditReportsAndTheNextOneGoesOn) {
  live(4);
  fake->zero_table();
  zero_in_set_irqs(UINT32_MAX);
  kernel.forget_calls();
  const auto failed = msix->audit();
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, EIO);
  EXPECT_EQ(set_irqs(), 4 * TableRestorer::kMaxAttempts);
  EXPECT_EQ(restored, 0U);
  fake->set_pause({});
  fake->zero_table();
  EXPECT_EQ(*msix->audit(), 4U);
  expect_sound(4);
}

TEST_F(MsixDamagedAgain, AnEntryThatIsZeroedWhileItsVectorIsBoundIsRestored) {
  for (const bool noresize : {true, false}) {
    SCOPED_TRACE(noresize);
    FakeSpec spec = FakeSpec::nvme();
    spec.group = noresize ? 1 : 2;
    spec.bdf.bus = noresize ? 1 : 2;
    spec.msix.noresize = noresize;
    live(2, spec);
    zero_in_set_irqs(3);
    program_and_unmask(2);  // grows the index, or adds the vector to it
    fake->set_pause({});
    EXPECT_EQ(*msix->audit(), noresize ? 0U : 2U)
        << "on a dynamic index, the two other vectors are not bound again";
    EXPECT_EQ(*msix->audit(), 0U);
    expect_sound(3);
    table.reset();
    pba.reset();
    msix.reset();
  }
}

TEST_F(MsixDamagedAgain, AResetWhileTheIndexGrowsLeavesNoVectorDead) {
  live(2);
  fake->set_pause([this] { fake->backdoor_reset(); });
  program_and_unmask(2);
  fake->set_pause({});
  ASSERT_TRUE(msix->audit());
  expect_sound(3);
}

TEST_F(MsixDamagedAgain, NothingFoundInAnEntryIsTakenAsWhatShouldBeThere) {
  live(2);
  for (const PhysicalEntry& entry :
       {PhysicalEntry{0, 0, 0, 0}, PhysicalEntry{0, 0, 0, 1}, PhysicalEntry{0x1000, 0, 0x41, 0},
        PhysicalEntry{~0U, ~0U, ~0U, ~0U}, PhysicalEntry{0xfee0'0018, 0, 0, 1}}) {
    SCOPED_TRACE(entry.address_low);
    fake->set_pause([&] { fake->set_entry(1, entry); });
    fake->set_entry(1, {});
    EXPECT_FALSE(msix->audit());
    fake->set_pause({});
    EXPECT_EQ(*msix->audit(), 1U);
    expect_sound(2);
  }
}

TEST_F(MsixDamagedAgain, ARemappedMessageThatBecomesAnotherIsWrittenAgain) {
  live(2);
  fake->set_entry(1, fake->host_message(0));
  EXPECT_EQ(*msix->audit(), 1U);
  expect_sound(2);
}

TEST_F(MsixDamagedAgain, AVectorThatTheKernelAlwaysRefusesDelaysNoOther) {
  for (const int code : {ENOMEM, ENOSPC, EIO, EBUSY, EINVAL, ENODEV, EINTR, EPERM}) {
    for (const bool reset : {false, true}) {
      SCOPED_TRACE(testing::Message() << code << (reset ? ", reset" : ", zeroed"));
      FakeSpec spec = FakeSpec::nvme();
      spec.group = spec.bdf.bus = static_cast<uint8_t>(1 + 2 * code + (reset ? 1 : 0));
      live(9, spec);
      failures.clear();
      fake->refuse(4, code);
      if (reset) {
        fake->backdoor_reset();
      } else {
        fake->zero_table();
      }
      for (unsigned audits = 0; audits < 3; ++audits) {
        EXPECT_EQ(msix->audit().error().code, code);
      }
      EXPECT_THAT(failures, ElementsAre(std::pair{4U, code})) << "reported once";
      EXPECT_EQ(host.delivered().size(), 8U) << "each restored vector may have lost an interrupt";
      for (unsigned vector = 0; vector < 9; ++vector) {
        EXPECT_EQ(fake->fire(vector) == Fired::Delivered, vector != 4) << vector;
      }
      EXPECT_EQ(host.delivered().size(), 8U);
      program_and_unmask(9);  // grows the index
      host.delivered();
      EXPECT_EQ(fake->fire(9), Fired::Delivered);
      fake->refuse(4, 0);
      EXPECT_EQ(*msix->audit(), 1U);
      expect_sound(10);
      host.delivered();
      table.reset();
      pba.reset();
      msix.reset();
    }
  }
}

TEST_F(MsixDamagedAgain, AllOthersAreRestoredInTheSamePass) {
  live(12);
  for (unsigned vector = 0; vector < 12; vector += 2) fake->refuse(vector, EIO);
  fake->zero_table();
  EXPECT_FALSE(msix->audit());
  for (unsigned vector = 0; vector < 12; ++vector) {
    EXPECT_EQ(fake->fire(vector) == Fired::Delivered, vector % 2 != 0) << vector;
  }
}

TEST_F(MsixDamagedAgain, AVectorThatWasRefusedComesBackWhenTheIndexGrows) {
  live(4);
  fake->refuse(2, ENOMEM);
  fake->zero_table();
  EXPECT_FALSE(msix->audit());
  fake->refuse(2, 0);
  program_and_unmask(4);
  expect_sound(5);
}

TEST_F(MsixDamagedAgain, AVectorThatIsDamagedAndRefusedWhileItIsBoundIsReported) {
  FakeSpec spec = FakeSpec::nvme();
  spec.msix.noresize = false;
  live(4, spec);
  fake->set_pause([this] {
    fake->zero_table();
    fake->refuse(4, ENOMEM);
  });
  program_and_unmask(4);
  EXPECT_THAT(failures, testing::Contains(std::pair{4U, ENOMEM}));
  fake->set_pause({});
  fake->refuse(4, 0);
  ASSERT_TRUE(msix->audit());
  expect_sound(5);
}

TEST_F(MsixDamagedAgain, AMaskOfTheHostThatMovesAnInterruptIsNoDamage) {
  kernel.set_interrupt_remapping(false);
  kernel.set_unsafe_interrupts_allowed(true);
  allow_unsafe_interrupts = true;
  live(2);
  kernel.forget_calls();
  const PhysicalEntry sound = fake->host_message(1);
  PhysicalEntry moving = sound;
  moving.control = 1;
  fake->set_entry(1, moving);
  pause = [&] { fake->set_entry(1, sound); };
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_EQ(set_irqs(), 0U);
  EXPECT_THAT(host.delivered(), IsEmpty());

  mask(1, true);
  fake->set_entry(1, moving);
  mask(1, false);
  EXPECT_EQ(set_irqs(), 0U);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(MsixDamagedAgain, AMaskThatStaysIsDamage) {
  live(2);
  unsigned pauses = 0;
  pause = [&] { ++pauses; };
  for (unsigned vector = 0; vector < 2; ++vector) {
    PhysicalEntry masked = fake->host_message(vector);
    masked.control = 1;
    fake->set_entry(vector, masked);
  }
  EXPECT_EQ(*msix->audit(), 2U);
  EXPECT_EQ(pauses, TableRestorer::kMaxLooks) << "the pauses are shared by all vectors";
  expect_sound(2);
}

}  // namespace
}  // namespace passthru
