// SPDX-License-Identifier: MIT
// A live vector whose signals nobody takes any more: the VMM has lost what it armed.
#include <gmock/gmock.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The fake VMM takes a signal when it is asked for what was delivered: until then it is one that
// has lost its irqfds.
class MsixUnread : public MsixTest {
 protected:
  static constexpr std::chrono::milliseconds kAWhile{5};
};

TEST_F(MsixUnread, ASignalThatNobodyTakesForAWhileIsSeen) {
  live(2);
  fake->fire(1);
  EXPECT_FALSE(msix->inspect()[1].unread) << "a VMM that polls may be about to take it";
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
  EXPECT_EQ(msix->inspect()[1].restores, 0U) << "nothing was wrong with its entry";
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
    EXPECT_EQ(*msix->audit(), 0U) << "one has just arrived, and will be taken";
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
