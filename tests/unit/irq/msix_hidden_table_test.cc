// SPDX-License-Identifier: MIT
// Tests of a device whose table cannot be read. SET_IRQS writes an entry whatever it holds, and the
// library sends a signal for an interrupt that may have been lost.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/unit/irq/msix_fixture.h"

namespace passthru {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class MsixHiddenTable : public MsixTest {
 protected:
  void SetUp() override {
    FakeSpec spec = FakeSpec::nvme();
    spec.msix.mappable = false;
    live(2, spec);
  }
};

TEST_F(MsixHiddenTable, AnInterruptThatWasLostWhileItsVectorWasMaskedIsMadeUp) {
  mask(0, true);
  fake->set_entry(0, {0, 0, 0, 0});
  EXPECT_EQ(fake->fire(0), Fired::Lost);
  mask(0, false);
  EXPECT_EQ(fake->entry(0), fake->host_message(0));
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
  EXPECT_EQ(restored, 0U) << "without a readable table, no restore is counted";
}

TEST_F(MsixHiddenTable, AGuestThatMasksInItsHandlerDoesNotInterruptItselfForEver) {
  unsigned delivered = 0;
  for (unsigned handled = 0; handled < 100; ++handled) {
    mask(0, true);
    mask(0, false);
    delivered += static_cast<unsigned>(host.delivered().size());
  }
  EXPECT_EQ(delivered, 1U);
  now += Delivery::kUnseenSignalEvery;
  mask(0, true);
  mask(0, false);
  EXPECT_THAT(host.delivered(), ElementsAre(message_of(0)));
}

TEST_F(MsixHiddenTable, ALostEnableBitIsFoundOnAnUnmask) {
  mask(0, true);
  fake->backdoor_reset();
  EXPECT_EQ(fake->fire(1), Fired::Lost);
  mask(0, false);
  for (unsigned vector = 0; vector < 2; ++vector) EXPECT_EQ(fake->fire(vector), Fired::Delivered);
  EXPECT_EQ(host.delivered().size(), 2U);
}

}  // namespace
}  // namespace passthru
