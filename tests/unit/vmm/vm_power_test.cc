// SPDX-License-Identifier: MIT
// Tests of a guest that powers off or resets the VMM's machine.
#include <gtest/gtest.h>

#include "tests/unit/vmm/target_access.h"
#include "vmm/power.h"

namespace passthru {
namespace {

TEST(PowerRegisters, PowersOffOnTheSleepTypeOfS5AndNoOther) {
  int offs = 0;
  PowerRegisters power([&] { ++offs; });
  write(power, PowerRegisters::kPm1Control, 2, 5 << 10);            // without SLP_EN
  write(power, PowerRegisters::kPm1Control, 2, 1 << 13 | 3 << 10);  // S3
  write(power, PowerRegisters::kPm1Event, 2, 1 << 13 | 5 << 10);
  EXPECT_EQ(offs, 0);
  write(power, PowerRegisters::kPm1Control, 2, 1 << 13 | 5 << 10);
  EXPECT_EQ(offs, 1);
}

TEST(PowerRegisters, AreAlwaysInAcpiModeAndKeepWhatIsEnabled) {
  PowerRegisters power([] {});
  EXPECT_EQ(read(power, PowerRegisters::kPm1Control, 2) & 1, 1u);
  write(power, PowerRegisters::kPm1Event + 2, 2, 0x0120);
  EXPECT_EQ(read(power, PowerRegisters::kPm1Event + 2, 2), 0x0120u);
  EXPECT_EQ(read(power, PowerRegisters::kPm1Event, 4), 0x01200000u);
}

TEST(PowerRegisters, TheTimerCountsUp) {
  PowerRegisters power([] {});
  const uint64_t first = read(power, PowerRegisters::kPmTimer, 4);
  uint64_t later = first;
  for (int i = 0; i < 10'000'000 && later == first; ++i) {
    later = read(power, PowerRegisters::kPmTimer, 4);
  }
  EXPECT_GT(later, first);
  EXPECT_LT(later - first, 3579545u);
}

TEST(KeyboardReset, ResetsOnThePulseCommandOnly) {
  int resets = 0;
  KeyboardReset keyboard([&] { ++resets; });
  EXPECT_EQ(read(keyboard, 0, 1), 0u);
  write(keyboard, 0, 1, 0xAA);
  EXPECT_EQ(resets, 0);
  write(keyboard, 0, 1, 0xFE);
  EXPECT_EQ(resets, 1);
}

}  // namespace
}  // namespace passthru
