// SPDX-License-Identifier: MIT
// Tests of the limits of a VMM's answers.
#include "tools/vmm_answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "inspect/inspection_json.h"
#include "tests/unit/inspect/reported_vector.h"

namespace passthru::tools {
namespace {

using ::testing::HasSubstr;
using Document = nlohmann::json;
using Limits = AnswerLimits;

std::string repeated(const std::string& text, size_t count) {
  std::string all;
  for (size_t i = 0; i < count; ++i) all += text;
  return all;
}

std::string answer_with(const std::string& value) {
  return R"({"version":1,"devices":)" + value + "}";
}

// Returns a list of this many zeros.
std::string list_of(size_t count) {
  return "[0" + repeated(",0", count - 1) + "]";
}

std::string refusal(const std::string& line) {
  const auto answer = parse_answer(line);
  return answer ? "accepted" : answer.error().cause;
}

TEST(VmmAnswer, AnswersAtEachLimitAreAccepted) {
  const size_t outer = 1;  // the object of the answer
  const std::string deep(Limits::kDepth - outer, '[');
  const std::string deep_end(Limits::kDepth - outer, ']');
  const std::string padding(Limits::kBytes - answer_with("0").size(), ' ');
  for (const std::string& line :
       {answer_with("[]"), answer_with(deep + deep_end), answer_with("0") + padding,
        answer_with('"' + std::string(Limits::kText, 'x') + '"'),
        answer_with(list_of(Limits::kElements)), answer_with(std::string(Limits::kNumber, '1')),
        answer_with(R"("\"\\")")}) {
    EXPECT_EQ(refusal(line), "accepted") << line.substr(0, 60);
  }
}

TEST(VmmAnswer, AnswersBeyondALimitAreRefusedBeforeTheyAreParsed) {
  const std::string many = "[" + list_of(4096) + repeated("," + list_of(4096), 127) + "]";
  const std::string objects = "[{}" + repeated(",{}", 4095) + "]";
  const std::vector<std::pair<std::string, std::string>> wrong = {
      {std::string(Limits::kBytes + 1, ' '), "its answer is too long"},
      {answer_with(std::string(Limits::kDepth, '[')), "its answer is nested too deeply"},
      {answer_with(repeated(R"({"a":)", 1000)), "its answer is nested too deeply"},
      {answer_with(std::string(1'000'000, '[')), "its answer is nested too deeply"},
      {answer_with('"' + std::string(Limits::kText + 1, 'x') + '"'),
       "its answer has a text that is too long"},
      {answer_with('"' + std::string(Limits::kText + 1, 'x')),
       "its answer has a text that is too long"},
      {answer_with('"' + repeated("\\\"", Limits::kText) + '"'),
       "its answer has a text that is too long"},
      {answer_with(list_of(Limits::kElements + 1)), "its answer has a list that is too long"},
      {answer_with(std::string(Limits::kNumber + 1, '1')),
       "its answer has a number that is too long"},
      {answer_with("[" + many + "," + many + "]"), "its answer has too many values"},
      {answer_with("[" + objects + repeated("," + objects, 63) + "]"),
       "its answer has too many values"},
  };
  for (const auto& [line, cause] : wrong) EXPECT_EQ(refusal(line), cause) << line.substr(0, 60);
}

TEST(VmmAnswer, AnswersOfAnotherProtocolAreRefused) {
  for (const char* line :
       {"", "{", "[]", "null", "1", "nonsense", "{}", R"({"version":2})", R"({"version":"1"})",
        R"({"version":1)", R"({"version":1}})", R"({"version":1,})", R"({"version":1,"a":1e999})",
        "{\"version\":1,\"a\":\"\xff\"}", "{\"version\":1,\"a\":\"\n\"}",
        R"({"version":1,"a":"\)"}) {
    EXPECT_EQ(refusal(line), "its answer is not of this version") << line;
  }
}

TEST(VmmAnswer, ALargeDeviceFitsIntoTheLimits) {
  Inspection inspection;
  inspection.name = std::string(64, 'n');
  for (unsigned index = 0; index < Limits::kVectors; ++index) {
    VectorInspection vector = reported_vector(index, Verdict::Different);
    vector.why = std::string(200, 'w');
    vector.last_sound = vector.in_device = MsixEntry{};
    vector.forwarded = SourceStats{};
    vector.forwarded->latency_log2_ns.fill(1'000'000);
    inspection.vectors.push_back(std::move(vector));
  }
  const Document whole = {{"version", 1}, {"devices", std::vector{inspection}}};
  const auto answer = parse_answer(whole.dump());
  ASSERT_TRUE(answer) << answer.error().cause;
  const auto read = inspections_in(*answer);
  ASSERT_TRUE(read) << read.error().cause;
  EXPECT_EQ(read->at(0).vectors.size(), Limits::kVectors);
}

TEST(VmmAnswer, TextsArePrintableAndNumbersWithFractionsAreNull) {
  const auto answer =
      parse_answer("{\"version\":1,\"a\":[\"\xc2\x9b\\u001b\"],\"b\":{\"c\":1e300}}");
  ASSERT_TRUE(answer) << answer.error().cause;
  EXPECT_EQ((*answer)["a"][0], "???") << "a sign for each byte";
  EXPECT_TRUE((*answer)["b"]["c"].is_null()) << "its conversion to an integer is undefined";
}

Document answer_about(const std::string& member, Document value) {
  Document device = {{"device", "0000:00:02.0"}};
  device[member] = std::move(value);
  return {{"version", 1}, {"devices", Document::array({device})}};
}

TEST(VmmAnswer, DevicesWithWrongMembersAreRefused) {
  const Document index0 = {{"index", 0}};
  const Document too_many_vectors(2049, index0);
  const std::vector<std::pair<Document, std::string>> wrong = {
      {answer_about("vectors", {index0, index0}), "a vector twice"},
      {answer_about("vectors", {{{"index", 2048}}}), "a number that no vector has"},
      {answer_about("vectors", {{{"index", -1}}}), "a number that no vector has"},
      {answer_about("vectors", too_many_vectors), "a vector twice"},
      {answer_about("bars", {index0, index0}), "a BAR twice"},
      {answer_about("bars", {{{"index", 7}}}), "a number that no BAR has"},
      {answer_about("vectors", {{{"index", nullptr}}}), "type must be number"},
      {answer_about("bars", {{{"index", 0}, {"spans", Document(1025, Document::object())}}}),
       "a BAR with too many spans"},
      {answer_about("vectors", 1), "type must be array"},
      {answer_about("name", Document::array()), "type must be string"},
      {answer_about("device", "nvme0"), "nvme0"},
      {{{"version", 1}}, "devices"},
      {{{"version", 1}, {"devices", Document::object()}}, "type must be array"},
  };
  for (const auto& [answer, cause] : wrong) {
    const auto read = inspections_in(answer);
    ASSERT_FALSE(read) << answer.dump().substr(0, 200);
    EXPECT_EQ(read.error().code, EPROTO);
    EXPECT_THAT(read.error().cause, HasSubstr(cause));
  }
}

}  // namespace
}  // namespace passthru::tools
