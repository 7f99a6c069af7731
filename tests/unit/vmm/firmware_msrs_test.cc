// SPDX-License-Identifier: MIT
// Tests of a CPU's model-specific registers at its first instruction.
#include "vmm/firmware_msrs.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace passthru {
namespace {

uint64_t after_firmware(uint32_t index, uint64_t after_reset) {
  const auto* const msr =
      std::find_if(kFirmwareMsrs.begin(), kFirmwareMsrs.end(),
                   [index](const FirmwareMsr& each) { return each.index == index; });
  EXPECT_NE(msr, kFirmwareMsrs.end());
  return msr != kFirmwareMsrs.end() ? msr->after_firmware(after_reset) : after_reset;
}

TEST(FirmwareMsrs, TheMtrrsAreOnAndTheirDefaultIsWriteBack) {
  EXPECT_EQ(after_firmware(0x2FF, 0), 0x806U);
  EXPECT_EQ(after_firmware(0x2FF, 0xC01), 0x806U) << "fixed ranges are off, whatever the old value";
}

// KVM's reset sets bits 11 and 12: the CPU has no branch trace storage and no event-based sampling.
TEST(FirmwareMsrs, FastStringsAreOnAndTheOtherBitsStay) {
  EXPECT_EQ(after_firmware(0x1A0, 0x1800), 0x1801U);
  EXPECT_EQ(after_firmware(0x1A0, 0), 1U);
}

}  // namespace
}  // namespace passthru
