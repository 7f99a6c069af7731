// SPDX-License-Identifier: MIT
// Tests of names and numbers of users and groups.
#include "tools/user_names.h"

#include <gtest/gtest.h>

namespace passthru::tools {
namespace {

TEST(UserNames, AUserOrGroupIsANameOrANumber) {
  EXPECT_EQ(user_of("root"), 0U);
  EXPECT_EQ(group_of("root"), 0U);
  EXPECT_EQ(user_of("4294967294"), 4294967294U);
  EXPECT_EQ(group_of("4294967294"), 4294967294U);
  for (const char* bad : {"", "no such", "-1", "+1", " 1", "1 ", "0x1", "4294967295", "4294967296",
                          "18446744073709551616"}) {
    EXPECT_EQ(user_of(bad), std::nullopt) << bad;
    EXPECT_EQ(group_of(bad), std::nullopt) << bad;
  }
}

TEST(UserNames, AUserWithoutANameIsShownAsANumber) {
  EXPECT_EQ(user_text(0), "root");
  EXPECT_EQ(user_text(4294967294), "4294967294");
}

}  // namespace
}  // namespace passthru::tools
