// SPDX-License-Identifier: MIT
// The text and JSON output for a vector with an invalid interrupt message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inspect/inspection_json.h"
#include "tools/run/run_summary.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

Inspection with_unroutable(unsigned vectors) {
  Inspection inspection;
  inspection.vectors.push_back({.index = 0});
  for (unsigned vector = 1; vector <= vectors; ++vector) {
    inspection.vectors.push_back({.index = vector, .unroutable = "0x1000 is no interrupt address"});
  }
  inspection.refused_messages = vectors;
  return inspection;
}

TEST(InspectionOutput, JsonHasTheReason) {
  const nlohmann::json json = with_unroutable(1);
  EXPECT_EQ(json["vectors"][0]["unroutable"], "");
  EXPECT_EQ(json["vectors"][1]["unroutable"], "0x1000 is no interrupt address");
  EXPECT_EQ(json["refused_messages"], 1U);
}

TEST(InspectionOutput, JsonHasTheCounts) {
  Inspection inspection{.damages = 5};
  inspection.vectors.push_back({.rebinds = 1,
                                .latched = 2,
                                .forwarded = SourceStats{.delivered = 6, .latency_log2_ns = {0, 7}},
                                .masked_ns = 3,
                                .last_error = "create_route: no space"});
  const nlohmann::json json = inspection;
  EXPECT_EQ(json["damages"], 5U);
  EXPECT_EQ(json["vectors"][0]["rebinds"], 1U);
  EXPECT_EQ(json["vectors"][0]["latched"], 2U);
  EXPECT_EQ(json["vectors"][0]["forwarded"]["delivered"], 6U);
  EXPECT_EQ(json["vectors"][0]["forwarded"]["latency_log2_ns"][1], 7U);
  EXPECT_EQ(json["vectors"][0]["masked_ns"], 3U);
  EXPECT_EQ(json["vectors"][0]["last_error"], "create_route: no space");
}

TEST(InspectionOutput, TheSummaryNamesTheVector) {
  EXPECT_THAT(tools::summary(with_unroutable(1)),
              HasSubstr("vector 1 delivers nothing: 0x1000 is no interrupt address"));
  EXPECT_THAT(tools::summary(with_unroutable(0)), Not(HasSubstr("no interrupt")));
}

TEST(InspectionOutput, TheSummaryIsNotFloodedByAGuest) {
  const std::string text = tools::summary(with_unroutable(2047));
  EXPECT_LT(text.size(), 2000U);
  EXPECT_THAT(text, HasSubstr("2047 times"));
  EXPECT_THAT(text, HasSubstr("and 2039 more"));
}

}  // namespace
}  // namespace passthru
