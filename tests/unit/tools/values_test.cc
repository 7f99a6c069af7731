// SPDX-License-Identifier: MIT
// Tests of the numbers, sizes and choices of options.
#include "tools/values.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace passthru::tools {
namespace {

TEST(Values, ANumberHasOnlyDigits) {
  EXPECT_EQ(read_number("0"), 0U);
  EXPECT_EQ(read_number("010"), 10U) << "not octal";
  EXPECT_EQ(read_number("18446744073709551615"), UINT64_MAX);
  for (const char* bad :
       {"", " 1", "1 ", "+1", "-1", "0x64", "1e3", ".5e3", "1.5", "two", "18446744073709551616"}) {
    EXPECT_EQ(read_number(bad), std::nullopt) << bad;
  }
}

TEST(Values, ADecimalMayHaveAPoint) {
  EXPECT_EQ(read_decimal("5"), 5.0);
  EXPECT_EQ(read_decimal("0.5"), 0.5);
  EXPECT_EQ(read_decimal("12.25"), 12.25);
  for (const char* bad : {"", ".", ".5", "5.", "1.2.3", ".5e3", "1e3", "-1", "0.-5", "0x1", "nan",
                          "inf", "0.1234567890"}) {
    EXPECT_EQ(read_decimal(bad), std::nullopt) << bad;
  }
}

TEST(Values, ASizeHasAUnitOfMemory) {
  const struct {
    const char* text;
    uint64_t bytes;
  } sizes[] = {{"0", 0},
               {"4096", 4096},
               {"1K", 1024},
               {"512M", uint64_t{512} << 20},
               {"2g", uint64_t{2} << 30},
               {"2GiB", uint64_t{2} << 30},
               {"1MB", uint64_t{1} << 20},
               {"16777215T", uint64_t{16777215} << 40}};
  for (const auto& each : sizes) EXPECT_EQ(read_size(each.text), each.bytes) << each.text;
  for (const char* bad :
       {"", "M", "-1G", "+1G", "1.5G", "1e3M", "0x10M", "1 G", "1X", "1Gi", "1Gx", "16777216T"}) {
    EXPECT_EQ(read_size(bad), std::nullopt) << bad;
  }
}

TEST(Values, ARefusedValueIsToldWithWhatIsAllowed) {
  const auto refusal = [](const CLI::Validator& check, std::string word) { return check(word); };
  EXPECT_EQ(refusal(number_from(1, 60'000, "off"), ".5e3"),
            "'.5e3' is not a number from 1 to 60000, or off");
  EXPECT_EQ(refusal(number_from(0, 2047), "2048"), "'2048' is not a number from 0 to 2047");
  EXPECT_EQ(refusal(decimal_from(0.05, 3600), "0"), "'0' is not a number from 0.05 to 3600");
  EXPECT_EQ(refusal(any_size(), "-1G"), "'-1G' is not a size, such as 512M or 2G (K, M, G, T)");
  EXPECT_EQ(refusal(one_of({"auto", "on", "off"}), "no"), "'no' is not auto, on or off");
  EXPECT_EQ(refusal(one_of({"on"}), "\x1b"), "'?' is not on");
}

TEST(Values, AnAcceptedValueIsWrittenAsTheParserReadsIt) {
  const auto taken = [](const CLI::Validator& check, std::string word) {
    EXPECT_EQ(check(word), "");
    return word;
  };
  EXPECT_EQ(taken(number_from(1, 60'000, "off"), "010"), "10");
  EXPECT_EQ(taken(number_from(1, 60'000, "off"), "off"), "off");
  EXPECT_EQ(taken(decimal_from(0.05, 3600), "0.05"), "0.05");
  EXPECT_EQ(taken(any_size(), "1M"), "1048576");
}

}  // namespace
}  // namespace passthru::tools
