// SPDX-License-Identifier: MIT
// Tests of valid and invalid BDFs.
#include "pci/bdf.h"

#include <gtest/gtest.h>

namespace passthru {
namespace {

TEST(Bdf, ReadsBothSpellingsAndPrintsTheLongOne) {
  EXPECT_EQ(Bdf::parse("0000:00:02.0")->str(), "0000:00:02.0");
  EXPECT_EQ(Bdf::parse("1f:1e.7")->str(), "0000:1f:1e.7");
  EXPECT_EQ(Bdf::parse("ffff:FF:1f.3")->str(), "ffff:ff:1f.3");
}

TEST(Bdf, Case11SegmentsOfMoreThanFourDigitsAreThoseBehindAVmd) {
  const auto drive = Bdf::parse("10000:e1:00.0");
  ASSERT_TRUE(drive);
  EXPECT_EQ(drive->segment, 0x10000U);
  EXPECT_EQ(drive->bus, 0xe1);
  EXPECT_EQ(drive->str(), "10000:e1:00.0");
  EXPECT_EQ(Bdf::parse("ffffffff:00:02.0")->segment, 0xffffffffU);
  EXPECT_LT(*Bdf::parse("ffff:ff:1f.7"), *drive);
  for (const char* bad : {"00000:e1:00.0", "010000:e1:00.0", "100000000:e1:00.0", "1000:e1:00.00",
                          "10000:e1:00", "1000g:e1:00.0", "10000:0e1:00.0", "100:00:02.00"}) {
    EXPECT_FALSE(Bdf::parse(bad)) << bad;
  }
}

TEST(Bdf, RequesterIdIsBusDeviceFunction) {
  EXPECT_EQ(Bdf::parse("01:02.3")->requester_id(), 0x0113);
}

TEST(Bdf, RefusesWhatIsNotOneAndSaysWhatOneLooksLike) {
  for (const char* bad :
       {"", "0", "00:02", "00:20.0", "00:02.8", "0000:00:02.0 ", " 00:02.0", "00-02.0",
        "00000:00:02.0", "0000:0:02.0", "00:2.0", "+0:02.0", "0x:02.0", "0000:00:02.00"}) {
    auto bdf = Bdf::parse(bad);
    ASSERT_FALSE(bdf) << bad;
    EXPECT_EQ(bdf.error().code, EINVAL);
    EXPECT_NE(bdf.error().message().find("0000:00:02.0"), std::string::npos);
  }
}

}  // namespace
}  // namespace passthru
