// SPDX-License-Identifier: MIT
#include "base/size_text.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

TEST(SizeText, UsesTheLargestUnitThatDividesTheSize) {
  EXPECT_EQ(size_text(0), "0 bytes");
  EXPECT_EQ(size_text(32), "32 bytes");
  EXPECT_EQ(size_text(1040), "1040 bytes");
  EXPECT_EQ(size_text(4 * (uint64_t{1} << 10)), "4 KiB");
  EXPECT_EQ(size_text(260 * (uint64_t{1} << 10)), "260 KiB");
  EXPECT_EQ(size_text(16 * (uint64_t{1} << 20)), "16 MiB");
  EXPECT_EQ(size_text(uint64_t{1} << 40), "1 TiB");
  EXPECT_EQ(size_text(uint64_t{1} << 63), "8 EiB");
}

}  // namespace
}  // namespace passthru
