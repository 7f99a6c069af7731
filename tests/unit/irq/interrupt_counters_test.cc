// SPDX-License-Identifier: MIT
#include <gtest/gtest.h>

#include "irq/vector_state.h"

namespace passthru {
namespace {

TEST(InterruptCounters, ASumHasEachMember) {
  InterruptCounters sum{
      .set_irqs_calls = 1, .restores = 2, .rearms = 3, .damages = 4, .refused_messages = 5};
  sum +=
      {.set_irqs_calls = 10, .restores = 20, .rearms = 30, .damages = 40, .refused_messages = 50};
  EXPECT_EQ(sum.set_irqs_calls, 11U);
  EXPECT_EQ(sum.restores, 22U);
  EXPECT_EQ(sum.rearms, 33U);
  EXPECT_EQ(sum.damages, 44U);
  EXPECT_EQ(sum.refused_messages, 55U);
}

}  // namespace
}  // namespace passthru
