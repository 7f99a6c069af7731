// SPDX-License-Identifier: MIT
// Tests of the suggestion for a mistyped word.
#include "tools/devices/nearest.h"

#include <gtest/gtest.h>

namespace passthru::tools {
namespace {

TEST(Nearest, SuggestsAWordWithFewWrongLetters) {
  const std::vector<std::string> commands = {"list", "bind", "unbind", "topology", "trace"};
  const struct {
    const char* word;
    const char* wanted;
  } words[] = {
      {"lst", "list"},
      {"ilst", "list"},
      {"lists", "list"},
      {"unbnd", "unbind"},
      {"topolgoy", "topology"},
      {"trac", "trace"},
      {"list", "list"},
      {"LIST", "list"},
      {"Bnd", "bind"},
      {"ILST", "list"},
      {"", ""},
      {"x", ""},
      {"xy", ""},
      {"status", ""},
      {"lxyt", ""},
      {"topology-of-it", ""},
  };
  for (const auto& each : words) EXPECT_EQ(nearest(each.word, commands), each.wanted) << each.word;
  EXPECT_EQ(nearest(std::string(100'000, 'x'), commands), "") << "a long word costs no time";
}

TEST(Nearest, IsASentenceOnlyIfThereIsACandidate) {
  EXPECT_EQ(did_you_mean("lst", {"list"}), " Did you mean 'list'?");
  EXPECT_EQ(did_you_mean("lst", {}), "");
}

}  // namespace
}  // namespace passthru::tools
