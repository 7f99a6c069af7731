// SPDX-License-Identifier: MIT
// Tests of a live vector whose signals stay unread: the VMM has lost its irqfd.
#include <gmock/gmock.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The fake VMM reads signals only when a test asks for the delivered messages. Until then it acts
// like a VMM that lost its irqfds.
class MsixUnread : public MsixTest {
 protected:
  static constexpr std::chrono::milliseconds kAWhile{5};
};

TEST_F(MsixUnread, ASignalThatNobodyTakesForAWhileIsSeen) {
  live(2);
  fake->fire(1);
  EXPECT_FALSE(msix->inspect()[1].unread) << "a polling VMM may be about to read it";
  now += kAWhile;
  EXPECT_TRUE(msix->inspect()[1].unread);
  EXPECT_FALSE(msix->inspect()[0].unread);
  host.delivered();
  EXPECT_FALSE(msix->inspect()[1].unread);
}

TEST_F(MsixUnread, TheVectorIsArmedAnewAndDeliversWhatHadFiredOnce) {
  live(2);
  fake->fire(1);
  EXPECT_EQ(*msix->audit(), 0U);
  now += kAWhile;
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(1)));
  EXPECT_EQ(msix->inspect()[1].rearms, 1U);
  EXPECT_EQ(msix->inspect()[0].rearms, 0U);
  EXPECT_EQ(msix->inspect()[1].restores, 0U) << "the entry was not damaged";
  EXPECT_EQ(restored, 1U);
  now += kAWhile;
  EXPECT_EQ(*msix->audit(), 0U);
}

TEST_F(MsixUnread, ASignalThatIsTakenBetweenTwoLooksChangesNothing) {
  live(1);
  for (int i = 0; i < 3; ++i) {
    fake->fire(0);
    EXPECT_EQ(*msix->audit(), 0U);
    EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
    now += kAWhile;
    EXPECT_EQ(*msix->audit(), 0U);
  }
}

TEST_F(MsixUnread, ABusyVectorOfAVmmThatPollsIsNotOne) {
  host.polls = true;
  live(1);
  for (int i = 0; i < 20; ++i) {
    fake->fire(0);
    EXPECT_EQ(*msix->audit(), 0U);
    EXPECT_FALSE(msix->inspect()[0].unread);
    now += 2 * kAWhile;
    EXPECT_EQ(*msix->audit(), 0U) << "a new signal has just arrived; the VMM will read it";
    EXPECT_EQ(host.delivered().size(), 1U);
  }
  EXPECT_EQ(restored, 0U);
}

TEST_F(MsixUnread, AMaskedVectorsLatchIsNotOne) {
  live(1);
  mask(0, true);
  fake->fire(0);
  EXPECT_EQ(*msix->audit(), 0U);
  now += kAWhile;
  EXPECT_FALSE(msix->inspect()[0].unread);
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_THAT(host.delivered(), IsEmpty());
}

TEST_F(MsixUnread, AVectorThatCannotBeArmedAnewLatchesUntilItCan) {
  live(1);
  fake->fire(0);
  EXPECT_EQ(*msix->audit(), 0U);
  now += kAWhile;
  host.fail_next("arm", EBUSY);
  EXPECT_EQ(*msix->audit(), 0U);
  EXPECT_EQ(msix->inspect()[0].owner, EventfdOwner::Latch);
  EXPECT_EQ(failures.size(), 1U);
  EXPECT_EQ(restored, 0U);
  EXPECT_EQ(*msix->audit(), 1U);
  EXPECT_EQ(msix->inspect()[0].owner, EventfdOwner::Irqfd);
  EXPECT_EQ(fake->fire(0), Fired::Delivered);
}

TEST_F(MsixUnread, AKernelThatCannotTellIsNoDamage) {
  live(1);
  fake->fire(0);
  EXPECT_EQ(*msix->audit(), 0U);
  now += kAWhile;
  kernel.fail("poll", ENOMEM);
  EXPECT_FALSE(msix->inspect()[0].unread);
}

TEST_F(MsixUnread, TriggerIsTheKernelsLoopback) {
  live(1);
  EXPECT_TRUE(msix->trigger(0));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  for (const unsigned vector : {1U, 5000U}) {
    EXPECT_EQ(msix->trigger(vector).error().code, EINVAL);
  }
}

}  // namespace
}  // namespace passthru
