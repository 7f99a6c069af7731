// SPDX-License-Identifier: MIT
// Tests of the explanations of verdicts.
#include "tools/explain/explanation.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tools/printable.h"

namespace passthru::tools {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::vector<std::string> split_lines(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

// Full stops at the end of a word: those in file names do not count.
ptrdiff_t sentences_in(const std::string& text) {
  ptrdiff_t count = 0;
  for (size_t at = 0; at < text.size(); ++at) {
    const bool ends_word = at + 1 == text.size() || text[at + 1] == ' ';
    if (text[at] == '.' && text[at - 1] != '.' && ends_word) ++count;
  }
  return count;
}

TEST(Explanation, EachVerdictHasTextsOfItsOwn) {
  std::set<std::string> meanings;
  std::set<std::string> causes;
  for (const Verdict verdict : kVerdicts) {
    const Explanation its = explanation(verdict);
    EXPECT_TRUE(meanings.insert(its.meaning).second) << to_string(verdict);
    EXPECT_TRUE(causes.insert(its.cause).second) << to_string(verdict);
    EXPECT_NE(its.remedy, std::string()) << to_string(verdict);
  }
  EXPECT_EQ(meanings.count(""), 0U);
  EXPECT_EQ(causes.count(""), 0U);
}

TEST(Explanation, ATextHasTwoToFiveSentences) {
  for (const Verdict verdict : kVerdicts) {
    const Explanation its = explanation(verdict);
    const ptrdiff_t sentences = 1 + sentences_in(its.cause) + sentences_in(its.remedy);
    EXPECT_GE(sentences, 2) << to_string(verdict);
    EXPECT_LE(sentences, 5) << to_string(verdict);
    EXPECT_EQ(std::string(its.cause).back(), '.') << to_string(verdict);
    EXPECT_EQ(std::string(its.remedy).back(), '.') << to_string(verdict);
  }
}

TEST(Explanation, EveryDamageHasACommandThatActs) {
  for (const Verdict verdict : kVerdicts) {
    if (!is_damage(verdict)) continue;
    EXPECT_THAT(explanation(verdict).remedy, HasSubstr("msix audit")) << to_string(verdict);
  }
}

TEST(Explanation, TheListHasALineForEachVerdictThatFitsATerminal) {
  const auto lines = split_lines(verdict_list({}));
  ASSERT_EQ(lines.size(), 1 + kVerdicts.size());
  for (size_t i = 0; i < kVerdicts.size(); ++i) {
    EXPECT_EQ(lines[i + 1].find(to_string(kVerdicts[i])), 0U);
    EXPECT_LE(columns_of(lines[i + 1]), 80U) << lines[i + 1];
  }
  for (const std::string& line : split_lines(verdict_list(50))) EXPECT_LE(columns_of(line), 50U);
}

TEST(Explanation, AnExplanationIsThreeLinesOrFitsTheTerminal) {
  for (const Verdict verdict : kVerdicts) {
    EXPECT_EQ(split_lines(explanation_text(verdict, "DEVICE", {})).size(), 3U);
    for (const std::string& line : split_lines(explanation_text(verdict, "DEVICE", 40)))
      EXPECT_LE(columns_of(line), 40U) << line;
  }
}

TEST(Explanation, ItsFirstLineIsTheVerdictAndWhetherItIsDamage) {
  EXPECT_THAT(explanation_text(Verdict::Cleared, "DEVICE", {}),
              testing::StartsWith("cleared (damage): its entry in the device is empty\n  The "));
  EXPECT_THAT(explanation_text(Verdict::MaskedByGuest, "DEVICE", {}),
              testing::StartsWith("masked by guest: the guest has masked it\n  "));
}

TEST(Explanation, ItsCommandsNameTheDevice) {
  for (const Verdict verdict : kVerdicts) {
    EXPECT_THAT(explanation_text(verdict, "0000:01:00.0", {}), Not(HasSubstr("DEVICE")));
  }
  EXPECT_THAT(explanation_text(Verdict::Cleared, "0000:01:00.0", {}),
              HasSubstr("'sudo passthru msix audit 0000:01:00.0 --heal'"));
}

TEST(Explanation, AVerdictIsFoundByItsWords) {
  for (const Verdict verdict : kVerdicts) {
    for (const std::string& word : {std::string(to_string(verdict)), hyphenated(verdict)}) {
      const auto found = verdict_of(word);
      ASSERT_TRUE(found) << word;
      EXPECT_EQ(*found, verdict);
    }
    EXPECT_EQ(hyphenated(verdict).find(' '), std::string::npos);
  }
}

TEST(Explanation, AnotherWordIsRefusedWithTheNearestVerdict) {
  const auto near = verdict_of("mask-by-guest");
  ASSERT_FALSE(near);
  EXPECT_EQ(near.error().message(),
            "cannot explain 'mask-by-guest': it is not a verdict. Did you mean 'masked by guest'? "
            "'passthru explain' lists the verdicts");
  for (const char* word : {"cursed", "", "-", "ok ok"}) {
    const auto far = verdict_of(word);
    ASSERT_FALSE(far) << word;
    EXPECT_THAT(far.error().message(), Not(HasSubstr("Did you mean"))) << word;
  }
}

TEST(Explanation, JsonHasTheSameTexts) {
  const std::vector<Verdict> three = {Verdict::NotRouted, Verdict::Unknown, Verdict::Ok};
  const Json list = explanations_json(three, "0000:01:00.0");
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0]["verdict"], "not routed");
  EXPECT_EQ(list[0]["damaged"], true);
  EXPECT_EQ(list[0]["meaning"], explanation(Verdict::NotRouted).meaning);
  EXPECT_THAT(list[0]["remedy"].get<std::string>(), HasSubstr("--device 0000:01:00.0,vectors="));
  EXPECT_TRUE(list[1]["damaged"].is_null()) << "a VMM's own word says it";
  EXPECT_EQ(list[2]["damaged"], false);
}

TEST(Explanation, AVectorThatWasNotSeenIsNeitherDamagedNorSound) {
  const Json list = explanations_json(std::array{Verdict::NotSeen}, "0000:01:00.0");
  EXPECT_TRUE(list[0]["damaged"].is_null());
  EXPECT_THAT(verdict_list({}), testing::ContainsRegex("\nnot seen +- +its entry"));
}

}  // namespace
}  // namespace passthru::tools
