// SPDX-License-Identifier: MIT
// The text and JSON output for a vector with an invalid interrupt message.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "inspect/inspection_json.h"
#include "tests/unit/inspect/reported_vector.h"
#include "tools/run/run_summary.h"

namespace passthru {
namespace {

using ::testing::HasSubstr;

Inspection with_unroutable(unsigned vectors) {
  Inspection inspection;
  inspection.vectors.push_back(reported_vector(0));
  for (unsigned vector = 1; vector <= vectors; ++vector) {
    inspection.vectors.push_back(reported_vector(vector));
    inspection.vectors.back().unroutable = "0x1000 is not an interrupt address";
  }
  inspection.refused_messages = vectors;
  return inspection;
}

TEST(InspectionOutput, JsonHasTheReason) {
  const nlohmann::json json = with_unroutable(1);
  EXPECT_EQ(json["vectors"][0]["unroutable"], "");
  EXPECT_EQ(json["vectors"][1]["unroutable"], "0x1000 is not an interrupt address");
  EXPECT_EQ(json["refused_messages"], 1U);
}

TEST(InspectionOutput, JsonHasTheCounts) {
  Inspection inspection{{.damages = 5}};
  VectorInspection& vector = inspection.vectors.emplace_back(reported_vector(0));
  vector.rebinds = 1;
  vector.latched = 2;
  vector.forwarded = SourceStats{.delivered = 6, .latency_log2_ns = {0, 7}};
  vector.masked_ns = 3;
  vector.last_error = "create_route: no space";
  const nlohmann::json json = inspection;
  EXPECT_EQ(json["damages"], 5U);
  EXPECT_EQ(json["vectors"][0]["rebinds"], 1U);
  EXPECT_EQ(json["vectors"][0]["latched"], 2U);
  EXPECT_EQ(json["vectors"][0]["forwarded"]["delivered"], 6U);
  EXPECT_EQ(json["vectors"][0]["forwarded"]["latency_log2_ns"][1], 7U);
  EXPECT_EQ(json["vectors"][0]["masked_ns"], 3U);
  EXPECT_EQ(json["vectors"][0]["last_error"], "create_route: no space");
}

TEST(InspectionOutput, WordsOfJsonAreTheEnumsAgain) {
  Inspection inspection;
  inspection.interrupt_mode = InterruptMode::Msi;
  inspection.dma.backend = Backend::Cdev;
  inspection.vectors.push_back(reported_vector(0, Verdict::EnableLost));
  inspection.bars.push_back({.spans = {{.size = 4096, .kind = SpanKind::MsixPba}, {.size = 1}}});
  const nlohmann::json json = inspection;
  EXPECT_EQ(json["interrupt_mode"], "MSI");
  EXPECT_EQ(json["dma"]["backend"], "cdev");
  EXPECT_EQ(json["vectors"][0]["verdict"], "enable bit lost");
  EXPECT_EQ(json["vectors"][0]["owner"], "irqfd");
  EXPECT_EQ(json["bars"][0]["spans"][0]["kind"], "msix_pba");
  EXPECT_EQ(json["bars"][0]["spans"][0]["mapped"], false);
  EXPECT_EQ(json["bars"][0]["spans"][0]["why"], "page of the MSI-X pending bits");
  EXPECT_EQ(nlohmann::json(json.get<Inspection>()), json);
}

TEST(InspectionOutput, EveryWordIsReadBack) {
  Inspection inspection;
  for (int at = 0; at <= static_cast<int>(Verdict::FunctionMaskLeft); ++at) {
    inspection.vectors.push_back(reported_vector(0, static_cast<Verdict>(at)));
    inspection.vectors.back().owner = static_cast<EventfdOwner>(at % 4);
  }
  BarInspection& bar = inspection.bars.emplace_back();
  for (int at = 0; at <= static_cast<int>(SpanKind::Unknown); ++at) {
    bar.spans.push_back({.kind = static_cast<SpanKind>(at)});
  }
  for (const auto mode :
       {InterruptMode::None, InterruptMode::Intx, InterruptMode::Msi, InterruptMode::Msix}) {
    for (const Backend backend : {Backend::Group, Backend::Cdev}) {
      inspection.interrupt_mode = mode;
      inspection.dma.backend = backend;
      const auto read = nlohmann::json(inspection).get<Inspection>();
      EXPECT_EQ(read.interrupt_mode, mode);
      EXPECT_EQ(read.dma.backend, backend);
      for (size_t at = 0; at < read.vectors.size(); ++at) {
        EXPECT_EQ(read.vectors[at].verdict, inspection.vectors[at].verdict) << at;
        EXPECT_EQ(read.vectors[at].owner, inspection.vectors[at].owner) << at;
      }
      for (size_t at = 0; at < read.bars[0].spans.size(); ++at) {
        EXPECT_EQ(read.bars[0].spans[at].kind, bar.spans[at].kind) << at;
      }
    }
  }
}

TEST(InspectionOutput, WordsOfAnotherVersionAreUnknown) {
  nlohmann::json json = with_unroutable(0);
  json["vectors"][0]["verdict"] = "cursed";
  json["vectors"][0]["owner"] = "ghost";
  json["interrupt_mode"] = "IMS";
  json["bars"] = {{{"spans", {{{"mapped", true}}, {{"kind", "shadow"}, {"mapped", true}}}}}};
  const auto inspection = json.get<Inspection>();
  EXPECT_EQ(inspection.vectors[0].verdict, Verdict::Unknown);
  EXPECT_EQ(inspection.vectors[0].owner, EventfdOwner::None);
  EXPECT_EQ(inspection.interrupt_mode, InterruptMode::None);
  EXPECT_EQ(inspection.bars[0].spans[0].kind, SpanKind::Mapped) << "without a kind";
  EXPECT_EQ(inspection.bars[0].spans[1].kind, SpanKind::Unknown);
}

TEST(InspectionOutput, TheSummaryNamesTheVector) {
  EXPECT_THAT(tools::summary(with_unroutable(1)),
              HasSubstr("vector 1 delivers nothing: 0x1000 is not an interrupt address"));
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
